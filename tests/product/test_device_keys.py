"""Keys of devices over HTTP: none reaches further than it should, and none counts longer than it should."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from fleets import POINT, Fleet
from iiot_gateway.registry.keys import KeyKind, new_key

pytestmark = [pytest.mark.native, pytest.mark.slow]


def test_no_key_reaches_further_than_it_should(fleet: Callable[..., Fleet]) -> None:
    """Every call, with every kind of key: 401 without a valid one, 403 for what is not its own, 404 for what is not there."""
    gateway = fleet(devices="registrations_per_minute = 0")
    own, foreign, disabled = gateway.add("own"), gateway.add("foreign"), gateway.add("disabled")
    gateway.run("devices", "disable", "disabled")
    keys = {
        "none": "",
        "unknown": new_key(KeyKind.ADMINISTRATOR),
        "upper": own.upper(),
        "cut": own[:-1],
        "own": own,
        "foreign": foreign,
        "disabled": disabled,
        "gateway": gateway.command_key("keys", "create", "--type", "gateway", "--device", "own"),
        "other gateway": gateway.command_key("keys", "create", "--type", "gateway", "--device", "foreign"),
        "reader": gateway.command_key("keys", "create", "--type", "reader"),
        "registration": gateway.command_key("keys", "create", "--type", "registration"),
        "expired": gateway.command_key("keys", "create", "--type", "administrator", "--expires-days", "0.00001"),
        "administrator": gateway.command_key("keys", "create", "--type", "administrator"),
    }
    time.sleep(0.9)  # a key of so many days expires by the clock and by nothing else
    everybody = dict.fromkeys(keys, 403) | dict.fromkeys(("none", "unknown", "upper", "cut", "expired"), 401)

    def expected(**given: int) -> dict[str, int]:
        return {name: given.get(name.replace(" ", "_"), refused) for name, refused in everybody.items()}

    table: list[tuple[str, str, Any, dict[str, int]]] = [
        ("POST", "influxdb/telemetry", {**POINT, "device_id": "own"}, expected(own=201, gateway=201, administrator=201)),
        ("POST", "influxdb/telemetry", {**POINT, "device_id": "nobody"}, expected(administrator=404)),
        (
            "POST",
            "devices/telemetry",
            {"data": {"x": 1}, "type": "x", "device_id": "own"},
            expected(own=201, gateway=201, administrator=201),
        ),
        ("GET", "influxdb/device/own/data", None, expected(own=200, gateway=200, reader=200, administrator=200)),
        ("GET", "influxdb/device/nobody/data", None, expected(reader=404, administrator=404)),
        ("DELETE", "influxdb/device/own/data?start=-1h", None, expected(own=200, gateway=200, administrator=200)),
        (
            "GET",
            "influxdb/deletions/1",
            None,
            expected(own=200, gateway=200, reader=200, administrator=200, foreign=404, other_gateway=404),
        ),
        ("GET", "devices/status", None, expected(own=200, foreign=200)),
        ("POST", "devices/heartbeat", None, expected(own=200, foreign=200)),
        ("GET", "devices/config", None, expected(own=200, foreign=200)),
        ("PUT", "devices/config", {"location": "hall"}, expected(own=200, foreign=200)),
        ("GET", "devices/mqtt-credentials", None, expected(own=404, foreign=404)),
        ("GET", "devices/commands", None, expected(own=200, foreign=200)),
        ("POST", "devices/commands/7/acknowledge", None, expected(own=404, foreign=404)),
        ("GET", "devices/telemetry", None, expected(own=200, foreign=200)),
        ("GET", "devices", None, expected(reader=200, administrator=200)),
        ("GET", "devices/own", None, expected(own=200, gateway=200, reader=200, administrator=200)),
        ("PATCH", "devices/own", {"location": "hall"}, expected(administrator=200)),
        ("DELETE", "devices/nobody", None, expected(administrator=404)),
        ("GET", "devices/own/config", None, expected(own=200, gateway=200, reader=200, administrator=200)),
        ("PUT", "devices/own/config", {"a": 1}, expected(own=200, gateway=200, administrator=200)),
        ("GET", "devices/own/keys", None, expected(administrator=200)),
        ("POST", "devices/nobody/keys", None, expected(administrator=404)),
        ("GET", "devices/own/commands", None, expected(own=200, gateway=200, reader=200, administrator=200)),
        ("POST", "devices/own/commands/blink", None, expected(administrator=202)),
        ("GET", "keys", None, expected(administrator=200)),
        ("POST", "keys", {"kind": "reader"}, expected(administrator=201)),
        ("DELETE", "keys/4711", None, expected(administrator=404)),
    ]
    for method, path, body, wanted in table:
        found = {name: gateway.api(method, path, key, body)[0] for name, key in keys.items()}
        assert found == wanted, (method, path)
    found = {
        name: gateway.api("POST", "devices/register", key, {"name": f"by {name}", "device_type": "x"})[0] for name, key in keys.items()
    }
    assert found == expected(registration=201, administrator=201)
    log = gateway.log()
    assert not [name for name, key in keys.items() if key and key[6:20] in log]


def test_a_key_counts_at_once_and_no_longer_than_it_should(fleet: Callable[..., Fleet]) -> None:
    """A rotated, revoked or disabled one is refused with the next request, whoever changed it."""
    gateway = fleet()
    administrator = gateway.command_key("keys", "create", "--type", "administrator")
    old = gateway.add("one")

    assert gateway.api("GET", "devices/status", old)[0] == 200
    status, rotated = gateway.api("POST", "devices/one/keys", old, {"overlap_s": 3600})
    new = rotated["api_key"]
    assert status == 201
    assert [gateway.api("GET", "devices/status", key)[0] for key in (old, new)] == [200, 200]
    newest = gateway.command_key("rotate", "one", "--overlap-h", "0")
    assert [gateway.api("GET", "devices/status", key)[0] for key in (old, new, newest)] == [401, 401, 200]
    assert gateway.api("PATCH", "devices/one", administrator, {"state": "inactive"})[0] == 200
    assert gateway.api("GET", "devices/status", newest)[0] == 403
    assert gateway.run("devices", "enable", "one").returncode == 0
    assert gateway.api("GET", "devices/status", newest)[0] == 200
    assert gateway.api("DELETE", "devices/one", administrator)[0] == 200
    assert gateway.api("GET", "devices/status", newest)[0] == 401


def test_a_key_that_ends_while_a_body_is_on_its_way_does_nothing(fleet: Callable[..., Fleet]) -> None:
    """Neither a revoked administrator nor a disabled device finishes what it began."""
    gateway = fleet()
    keeper, former = (gateway.command_key("keys", "create", "--type", "administrator") for _ in range(2))
    device = gateway.add("one")
    making = late(gateway, "POST", "keys", former, b'{"kind":"reader"}')
    changing = late(gateway, "PUT", "devices/config", device, b'{"status":"active"}')
    rotating = late(gateway, "POST", "devices/one/keys", device, b"{}")

    (number,) = [key["id"] for key in gateway.api("GET", "keys", keeper)[1]["keys"] if key["kind"] == "administrator"][1:]
    assert gateway.api("DELETE", f"keys/{number}", keeper)[0] == 200
    assert gateway.api("PATCH", "devices/one", keeper, {"state": "inactive"})[0] == 200

    assert [send() for send in (making, changing, rotating)] == [401, 403, 403]
    assert gateway.api("GET", "devices/one", keeper)[1]["device"]["state"] == "inactive"


def late(gateway: Fleet, method: str, path: str, key: str, body: bytes) -> Callable[[], int]:
    """Send the head of a request, and return a function that sends the body and returns the status."""
    connection = socket.create_connection(("127.0.0.1", gateway.port), timeout=20)
    head = f"{method} /api/v1/{path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
    # With the answer to Expect the gateway has begun to read the body.
    connection.sendall(f"{head}Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n".encode())
    assert b" 100 " in connection.recv(4096)

    def send() -> int:
        with connection:
            connection.sendall(body)
            return int(connection.recv(4096).split()[1])

    return send


def test_a_rotation_leaves_the_key_in_use_and_needs_no_device_that_is_let_in(fleet: Callable[..., Fleet]) -> None:
    """A device whose answers were lost asks again; a gateway's key makes no keys; the key of a disabled device can be replaced."""
    gateway = fleet()
    administrator = gateway.command_key("keys", "create", "--type", "administrator")
    key = gateway.add("one")
    bridge = gateway.command_key("keys", "create", "--type", "gateway", "--device", "one")

    assert [gateway.api("POST", "devices/one/keys", key)[0] for _ in range(3)] == [201, 201, 201]
    assert gateway.api("POST", "devices/one/keys", bridge)[0] == 403
    assert gateway.api("PATCH", "devices/one", administrator, {"state": "inactive"})[0] == 200
    assert gateway.api("POST", "devices/one/keys", key)[0] == 403
    assert gateway.api("POST", "devices/one/keys", administrator, {"overlap_s": 0})[0] == 201
    assert gateway.api("PATCH", "devices/one", administrator, {"state": "active"})[0] == 200
    assert gateway.api("GET", "devices/status", key)[0] == 401
