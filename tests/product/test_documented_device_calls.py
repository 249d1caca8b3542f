"""The calls that clients of an IoTFlow Connectivity Layer make, in the order of its guide, and the answers that its guide promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fleets import Fleet
from gateways import assert_balanced

pytestmark = [pytest.mark.native, pytest.mark.slow]

NEW = {
    "name": "Temperature Sensor 001",
    "device_type": "temperature_sensor",
    "location": "Living Room",
    "firmware_version": "1.0.0",
    "hardware_version": "v2.1",
}


def test_each_documented_call_answers_as_the_guide_says(fleet: Callable[..., Fleet]) -> None:
    """The ids in bodies are numbers, as that guide has them. Keys that a client does not read may come in addition."""
    gateway = fleet()
    registration = gateway.command_key("keys", "create", "--type", "registration")

    status, registered = gateway.api("POST", "devices/register", registration, NEW)
    assert (status, registered["message"]) == (201, "Device registered successfully")
    key = registered["device"]["api_key"]
    assert gateway.api("POST", "devices/register", registration, NEW)[0] == 409

    def answers(method: str, path: str, body: Any = None, *, code: int = 200, **expected: Any) -> dict[str, Any]:
        found, document = gateway.api(method, path, key, body)
        assert (found, {name: document.get(name) for name in expected}) == (code, expected), (method, path, document)
        assert isinstance(document, dict)
        return document

    answers("GET", "influxdb/health", connected=True)
    point = {"device_id": 1, "measurement": "temperature", "fields": {"value": 23.5}, "tags": {"room": "living_room"}}
    answers("POST", "influxdb/telemetry", point, code=201, device_id="1", measurement="temperature")
    points = [{**point, "measurement": "humidity"}, {**point, "measurement": "pressure", "fields": {"value": 1013.25}}]
    answers("POST", "influxdb/telemetry/batch", {"points": points}, code=201, count=2)
    measured = {"data": {"temperature": 22.5, "humidity": 65.2}, "type": "climate", "metadata": {"room": "living_room"}}
    answers("POST", "devices/telemetry", measured, code=201, message="Telemetry data received successfully", type="climate")
    gateway.measured("1", key, 5)

    data = answers("GET", "influxdb/device/1/data?start=-1h&stop=now()&measurement=temperature", count=1, measurement="temperature")
    (value,) = data["data_points"]
    assert {"measurement": "temperature", "device_id": "1", "field": "value", "value": 23.5, "room": "living_room"}.items() <= value.items()
    latest = answers("GET", "influxdb/device/1/latest?measurement=climate")["latest_data"]
    assert {(entry["field"], entry["value"]) for entry in latest} == {("temperature", 22.5), ("humidity", 65.2)}
    answers("GET", "influxdb/device/1/latest?measurement=nothing", code=404, latest_data=None)
    assert {entry["field"] for entry in answers("GET", "devices/telemetry")["telemetry"]} == {"value", "temperature", "humidity"}

    answers("POST", "devices/heartbeat", {}, message="Heartbeat received", status="online")
    assert answers("GET", "devices/status")["device"]["is_online"] is True
    changed = answers("PUT", "devices/config", {"location": "Kitchen", "configuration": {"interval_s": 30}}, version=1)
    assert (changed["device"]["location"], changed["device"]["is_online"]) == ("Kitchen", True)
    answers("GET", "devices/config", configuration={"interval_s": 30}, version=1)
    answers("GET", "devices/mqtt-credentials", code=404, error="no_broker")
    answers("DELETE", "influxdb/device/1/data?start=-1h&stop=now()", message="Data deleted")
    answers("GET", "influxdb/device/1/data?start=-1h&measurement=temperature", count=0)
    assert_balanced(gateway.status())
