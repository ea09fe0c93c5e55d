# The article's status endpoint, run by FastAPI against the service REST API.
import os

from azure.iot.hub import IoTHubRegistryManager
from fastapi import FastAPI
from fastapi.testclient import TestClient

from lib import say

IOT_HUB_CONNECTION = os.environ["SERVICE"]
app = FastAPI()


# article: begin
@app.get("/devices/{device_id}/status")
async def get_device_status(device_id: str):
    """Get device status from IoT Hub"""
    registry = IoTHubRegistryManager.from_connection_string(IOT_HUB_CONNECTION)
    twin = registry.get_twin(device_id)
    return {
        "deviceId": device_id,
        "status": twin.properties.reported.get('status'),
        "lastSeen": twin.properties.reported.get('lastHeartbeat'),
        "firmwareVersion": twin.properties.reported.get('firmwareVersion')
    }
# article: end


answer = TestClient(app).get(f"/devices/{os.environ['DEVICE']}/status")
say("status", code=answer.status_code, body=answer.json())
