# The article's DirectConnectedDevice. Between the markers it stands as printed;
# the harness compares it with the article, line by line.
from datetime import datetime
import json
import os


def read_sensor():
    return 21.5


# article: begin
from azure.iot.device.aio import IoTHubDeviceClient
import asyncio
class DirectConnectedDevice:
    def __init__(self, connection_string):
        self.client = IoTHubDeviceClient.create_from_connection_string(connection_string)
    async def run(self):
        await self.client.connect()
        while True:
            telemetry = self.collect_telemetry()
            await self.client.send_message(json.dumps(telemetry))
            await asyncio.sleep(60)
    def collect_telemetry(self):
        return {
            "temperature": read_sensor(),
            "timestamp": datetime.utcnow().isoformat()
        }
# article: end


asyncio.run(DirectConnectedDevice(os.environ["CS"]).run())
