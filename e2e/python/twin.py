"""Rows 6, 7 and 8: twin, desired properties also after a reconnect, direct methods."""
import asyncio

from azure.iot.device import MethodResponse
from azure.iot.device.aio import IoTHubDeviceClient
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, Twin, TwinProperties

from lib import env, say


def desire(registry, device, **desired):
    twin = registry.get_twin(device)
    registry.update_twin(device, Twin(properties=TwinProperties(desired=desired)), twin.etag)


async def wanted(patches, interval):
    """Waits for that patch; the SDK makes one of its own when it has asked for the twin."""
    while True:
        patch = await asyncio.wait_for(patches.get(), 15)
        if patch.get("interval") == interval:
            return patch


async def main():
    device = env("DEVICE")
    registry = IoTHubRegistryManager.from_connection_string(env("SERVICE"))
    client = IoTHubDeviceClient.create_from_connection_string(env("CS"), ensure_desired_properties=True)
    patches = asyncio.Queue()
    loop = asyncio.get_running_loop()

    async def on_patch(patch):  # on an event loop of the SDK's own
        loop.call_soon_threadsafe(patches.put_nowait, patch)

    async def on_method(request):
        await client.send_method_response(MethodResponse.create_from_method_request(request, 200, {"echo": request.payload}))

    client.on_twin_desired_properties_patch_received = on_patch
    client.on_method_request_received = on_method
    await asyncio.wait_for(client.connect(), 15)

    twin = await asyncio.wait_for(client.get_twin(), 15)
    assert twin["desired"]["$version"] >= 1, twin
    await client.patch_twin_reported_properties(
        {"status": "running", "lastHeartbeat": "2026-01-02T03:04:05Z", "firmwareVersion": "1.2.3"})
    await loop.run_in_executor(None, lambda: desire(registry, device, interval=7))
    patch = await wanted(patches, 7)
    assert patch["$version"] == twin["desired"]["$version"] + 1, patch

    answer = await loop.run_in_executor(None, lambda: registry.invoke_device_method(
        device, CloudToDeviceMethod(method_name="echo", payload={"n": 1}, response_timeout_in_seconds=10)))
    assert answer.status == 200 and answer.payload == {"echo": {"n": 1}}, answer

    # What changes while the device is away arrives when it is back.
    await client.disconnect()
    await loop.run_in_executor(None, lambda: desire(registry, device, interval=8))
    await asyncio.wait_for(client.connect(), 15)
    await wanted(patches, 8)
    await client.shutdown()
    say("done")


asyncio.run(main())
