"""Row 9: cloud-to-device messages with null and empty property values."""
import asyncio

from azure.iot.device.aio import IoTHubDeviceClient

from lib import env, say


async def main():
    client = IoTHubDeviceClient.create_from_connection_string(env("CS"))
    got = asyncio.Queue()
    loop = asyncio.get_running_loop()

    async def on_message(message):  # on an event loop of the SDK's own
        loop.call_soon_threadsafe(got.put_nowait, message)

    client.on_message_received = on_message
    await asyncio.wait_for(client.connect(), 15)
    for n in range(int(env("COUNT"))):
        message = await asyncio.wait_for(got.get(), 20)
        assert message.data == b'{"n":%d}' % n, message.data
        if n == 0:
            say("properties", properties=message.custom_properties, messageId=message.message_id)
    await client.shutdown()
    say("done")


asyncio.run(main())
