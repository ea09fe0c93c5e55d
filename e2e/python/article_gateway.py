# The article's EdgeGateway, with the one helper that the article leaves out.
from datetime import datetime
import asyncio
import json
import os

from azure.iot.device import Message
from azure.iot.device.aio import IoTHubDeviceClient

# article: begin
# Edge gateway aggregating multiple leaf devices
class EdgeGateway:
    def __init__(self, gateway_connection_string):
        self.gateway_client = IoTHubDeviceClient.create_from_connection_string(
            gateway_connection_string
        )
        self.leaf_devices = {}
    async def register_leaf_device(self, device_id, protocol='modbus'):
        """Register a downstream leaf device"""
        self.leaf_devices[device_id] = {
            'protocol': protocol,
            'last_data': None
        }
    async def collect_and_forward(self):
        """Collect data from leaf devices and forward to cloud"""
        aggregated_data = []
        for device_id, info in self.leaf_devices.items():
            data = await self.read_leaf_device(device_id, info['protocol'])
            aggregated_data.append({
                'deviceId': device_id,
                'data': data,
                'timestamp': datetime.utcnow().isoformat()
            })
        # Send as batch message
        message = Message(json.dumps(aggregated_data))
        message.content_type = "application/json"
        await self.gateway_client.send_message(message)
# article: end


class Gateway(EdgeGateway):
    async def read_leaf_device(self, device_id, protocol):
        return {"temperature": 19.5, "protocol": protocol}


async def main():
    gateway = Gateway(os.environ["CS"])
    await gateway.register_leaf_device("leaf-1")
    await gateway.register_leaf_device("leaf-2", protocol="opcua")
    await gateway.collect_and_forward()
    await gateway.gateway_client.shutdown()


asyncio.run(main())
