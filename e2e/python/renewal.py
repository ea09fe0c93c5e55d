"""Row 25: the SDK renews its token 120 s before expiry by reconnecting; nothing is lost."""
import asyncio

from azure.iot.device.aio import IoTHubDeviceClient

from lib import env, say


async def main():
    client = IoTHubDeviceClient.create_from_connection_string(env("CS"), sastoken_ttl=125)
    connected = 0

    async def on_state():
        nonlocal connected
        connected += client.connected

    client.on_connection_state_change = on_state
    await client.connect()
    total = 0
    # The first renewal is due 5 s after the start; send until the SDK has been back for a while.
    while total < 40 or connected < 2:
        await asyncio.wait_for(client.send_message('{"n":%d}' % total), 30)
        total += 1
        assert total < 600, "the SDK did not renew its token"
        await asyncio.sleep(0.1)
    await client.shutdown()
    say("sent", total=total)


asyncio.run(main())
