"""Rows 1, 2, 14: who may connect, over TCP and WebSocket, and what others are told."""
import asyncio

from azure.iot.device import Message
from azure.iot.device.aio import IoTHubDeviceClient
from azure.iot.device.exceptions import CredentialError

from lib import env, say


async def refused(name):
    client = IoTHubDeviceClient.create_from_connection_string(env(name), connection_retry=False)
    try:
        await asyncio.wait_for(client.connect(), 15)
    except CredentialError:
        return
    finally:
        await client.shutdown()
    raise AssertionError(f"{name} was let in")


async def main():
    for string, kw in ((env("CS"), {}), (env("CS"), {"websockets": True}), (env("CS_CLOUD") + ";GatewayHostName=localhost", {})):
        client = IoTHubDeviceClient.create_from_connection_string(string, **kw)
        await asyncio.wait_for(client.connect(), 15)
        message = Message('{"row":1}', message_id="p 1", content_type="application/json", content_encoding="utf-8")
        message.custom_properties["a b"] = "c&d"
        await asyncio.wait_for(client.send_message(message), 15)
        await asyncio.gather(*(client.send_message(f'{{"n":{n}}}') for n in range(50)))
        await client.shutdown()
    for name in ("CS_WRONG_KEY", "CS_UNKNOWN", "CS_DISABLED"):
        await refused(name)
    say("done")


asyncio.run(main())
