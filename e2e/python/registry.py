"""Rows 18, 19 and 20: IoTHubRegistryManager, queries, and errors."""
import base64
import os

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import QuerySpecification
from msrest.exceptions import HttpOperationError

from lib import env, say

registry = IoTHubRegistryManager.from_connection_string(env("SERVICE"))
key = lambda: base64.b64encode(os.urandom(32)).decode()
primary, secondary = key(), key()
made = registry.create_device_with_sas("py-registry-1", primary, secondary, "enabled")
assert made.authentication.symmetric_key.primary_key == primary
changed = registry.update_device_with_sas("py-registry-1", made.etag, secondary, primary, "disabled", status_reason="test")
assert (changed.status, changed.status_reason) == ("disabled", "test")
try:
    registry.update_device_with_sas("py-registry-1", made.etag, primary, secondary, "enabled")
    raise AssertionError("a stale etag was taken")
except HttpOperationError as e:
    assert e.response.status_code == 412, e.response.status_code
assert any(d.device_id == "py-registry-1" for d in registry.get_devices())
module = registry.create_module_with_sas("py-registry-1", "m1", "", primary, secondary)
assert module.module_id == "m1"
registry.delete_module("py-registry-1", "m1")
assert registry.get_device_registry_statistics().total_device_count >= 1
assert registry.get_service_statistics().connected_device_count >= 0

rows = registry.query_iot_hub(QuerySpecification(query="SELECT deviceId, status FROM devices WHERE deviceId = 'py-registry-1'"), None, 5)
assert [dict(r.additional_properties or {}, device=r.device_id)["device"] for r in rows.items] == ["py-registry-1"], rows.items
registry.delete_device("py-registry-1")
try:
    registry.get_twin("py-registry-1")
    raise AssertionError("a deleted device has a twin")
except HttpOperationError as e:
    assert e.response.status_code == 404
    assert e.response.headers["iothub-errorcode"] == "DeviceNotFound", e.response.headers
say("done")
