"""Devices over HTTP: what is answered with success is in the journal, and each fault has its answer."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fleets import NOON, POINT, Fleet
from gateways import assert_balanced
from servers import until

pytestmark = [pytest.mark.native, pytest.mark.slow]


def test_a_point_keeps_the_text_of_its_number_and_takes_its_tags_from_the_registry(fleet: Callable[..., Fleet]) -> None:
    """As the documented curl line sends it."""
    gateway = fleet()
    key = gateway.add("boiler", "--location", "hall", "--tag", "line=a")

    status, answer = gateway.api(
        "POST",
        "influxdb/telemetry",
        key,
        b'{"device_id":"boiler","measurement":"temperature","fields":{"value":27.60},"tags":{"room":"cellar","location":"nowhere"},'
        b'"timestamp":"' + NOON.encode() + b'"}',
    )

    assert status == 201
    assert answer == {
        "message": "Telemetry data written successfully",
        "device_id": "boiler",
        "measurement": "temperature",
        "timestamp": NOON,
    }
    (value,) = gateway.measured("boiler", key, 1)
    expected = {"time": NOON, "measurement": "temperature", "device_id": "boiler", "field": "value", "value": 27.6}
    tags = {"device_name": "name of boiler", "device_type": "sensor", "line": "a", "location": "hall", "room": "cellar"}
    assert value == {**expected, **tags}
    assert_balanced(gateway.status())


def test_a_batch_says_of_each_point_what_became_of_it(fleet: Callable[..., Fleet]) -> None:
    """One bad point costs only itself."""
    gateway = fleet()
    key, _other = gateway.add("one"), gateway.add("two")
    points: list[Any] = [
        POINT,
        {"measurement": "", "fields": {"value": 1}},
        {"fields": {"value": 1}},
        {**POINT, "device_id": "two"},
        {**POINT, "timestamp": "yesterday"},
        {**POINT, "timestamp": NOON},
        {**POINT, "timestamp": NOON},
        7,
    ]

    status, answer = gateway.api("POST", "influxdb/telemetry/batch", key, {"points": points})

    assert status == 201
    assert answer["count"] == 3
    results = [(result["status"], result.get("code"), result.get("error")) for result in answer["results"]]
    assert results == [
        ("accepted", None, None),
        ("refused", 422, "wrong_shape"),
        ("refused", 422, "wrong_shape"),
        ("refused", 403, "foreign_device"),
        ("refused", 422, "timestamp_unreadable"),
        ("accepted", None, None),
        ("duplicate", None, None),
        ("refused", 422, "wrong_shape"),
    ]
    gateway.until_online("one")
    assert gateway.ask()["intake"]["accepted"] == 2 + 1


def test_what_is_sent_again_is_taken_once_and_answered_alike(fleet: Callable[..., Fleet]) -> None:
    """By its message id, over a kill; and with another content under the same id it is a conflict."""
    gateway = fleet()
    key = gateway.add("one")
    sent = {**POINT, "message_id": "a"}

    first = gateway.api("POST", "influxdb/telemetry", key, sent)
    gateway.until_online("one")
    gateway.kill9()
    gateway.begin()
    again = gateway.api("POST", "influxdb/telemetry", key, sent)
    other = gateway.api("POST", "influxdb/telemetry", key, {**sent, "fields": {"value": 22.5}})

    assert first == again
    assert first[0] == 201
    assert (other[0], other[1]["error"]) == (409, "message_id_conflict")
    assert gateway.ask()["intake"]["accepted"] == 1 + 1


def test_what_the_journal_counts_is_not_counted_as_refused(fleet: Callable[..., Fleet]) -> None:
    """Rejects are received, and conflicts are skipped. Only what the journal never got is refused: single points and those of batches."""
    gateway = fleet()
    key = gateway.add("one")
    conflict = {**POINT, "message_id": "a", "fields": {"value": 3}}
    unusable = {"measurement": "temperature", "fields": {"value": None}}
    assert gateway.api("POST", "influxdb/telemetry", key, {**POINT, "message_id": "a"})[0] == 201

    alone = [gateway.api("POST", "influxdb/telemetry", key, point) for point in (conflict, unusable, {})]
    status, batch = gateway.api("POST", "influxdb/telemetry/batch", key, {"points": [conflict, {**unusable, "tags": {"a": "b"}}, {}]})

    errors = ["message_id_conflict", "nothing_usable", "wrong_shape"]
    assert [(answer[0], answer[1]["error"]) for answer in alone] == list(zip((409, 422, 422), errors, strict=True))
    assert (status, [result["error"] for result in batch["results"]]) == (422, errors)
    document = gateway.ask()
    assert document["refused"]["devices"] == {"wrong_shape": 2}
    assert document["intake"]["skipped_kinds"] == {"message_id_conflict": 2}
    assert document["intake"]["reject_reasons"] == {"nothing_usable": 2}
    assert_balanced(document)


@pytest.mark.parametrize(
    ("body", "headers", "status", "error"),
    [
        (b"{", {}, 400, "no_json"),
        (b'{"measurement":"m","fields":{"v":NaN}}', {}, 400, "no_json"),
        (b'{"measurement":"m","fields":{"v":1e400}}', {}, 422, "wrong_shape"),
        (b'{"measurement":"m","fields":{"v":"\xff"}}', {}, 400, "no_json"),
        (b"[]", {}, 422, "wrong_shape"),
        (b'{"measurement":"m","fields":{}}', {}, 422, "wrong_shape"),
        (b'{"measurement":"m","fields":{"v":{"deep":1}}}', {}, 422, "wrong_shape"),
        (b'{"measurement":"m","fields":{"v":null}}', {}, 422, "nothing_usable"),
        (b'{"measurement":"m","fields":' + b'{"v":' * 3000 + b"1" + b"}" * 3000 + b"}", {}, 422, "wrong_shape"),
        (b'{"measurement":"m","fields":{"v":1},"extra":' + b"[" * 100_000 + b"]" * 100_000 + b"}", {}, 422, "too_deep"),
        (json.dumps({"measurement": "m", "fields": {f"f{n}": n for n in range(300)}}).encode(), {}, 422, "too_many_fields"),
        (json.dumps({**POINT, "tags": {"t": "x" * 70_000}}).encode(), {}, 413, "point_too_long"),
        (b"", {"Content-Length": "5000000"}, 413, "body_too_long"),
        (json.dumps({**POINT, "timestamp": "2020-13-01"}).encode(), {}, 422, "timestamp_unreadable"),
        (json.dumps({**POINT, "timestamp": 12}).encode(), {}, 422, "timestamp_too_early"),
        (json.dumps({**POINT, "timestamp": int(time.time()) + 2 * 86_400}).encode(), {}, 422, "timestamp_ahead"),
        (json.dumps(POINT).encode(), {"Content-Type": "text/plain"}, 415, "type_unsupported"),
        (gzip.compress(json.dumps(POINT).encode()), {"Content-Encoding": "gzip"}, 415, "encoding_unsupported"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_body_that_cannot_be_used_is_refused_with_its_reason(
    shared: tuple[Fleet, str], body: bytes, headers: dict[str, str], status: int, error: str
) -> None:
    """The next request of the device is answered as ever."""
    gateway, key = shared

    answered, problem = gateway.call("POST", "/api/v1/influxdb/telemetry", key, body, **headers)

    assert (answered, problem["error"]) == (status, error), problem
    assert problem["message"]
    assert gateway.api("POST", "influxdb/telemetry", key, POINT)[0] == 201


def test_a_type_that_is_null_is_refused(shared: tuple[Fleet, str]) -> None:
    """Nothing is stored under a measurement that nobody named."""
    gateway, key = shared

    assert gateway.api("POST", "devices/telemetry", key, {"type": None, "data": {"w": 7}})[0] == 422
    assert gateway.api("POST", "devices/telemetry", key, {"data": {"w": 7}})[1]["type"] == "telemetry"


def test_an_id_is_no_user_name_of_another_device(fleet: Callable[..., Fleet]) -> None:
    """A broker knows both as one name: whoever took it would be taken for the other."""
    gateway = fleet()
    administrator = gateway.command_key("keys", "create", "--type", "administrator")
    gateway.add("one", "--user-name", "oven")
    gateway.add("two")
    registration = {"name": "a newcomer", "device_type": "sensor", "id": "oven"}

    assert gateway.api("POST", "devices/register", administrator, registration)[0] == 409
    assert gateway.api("PATCH", "devices/two", administrator, {"user_name": "one"})[0] == 409
    assert gateway.api("PATCH", "devices/two", administrator, {"user_name": "two"})[0] == 200


def test_commands_that_wait_are_seen_behind_any_number_of_others(fleet: Callable[..., Fleet]) -> None:
    """The oldest comes first, and HEAD takes none of them."""
    gateway = fleet()
    administrator = gateway.command_key("keys", "create", "--type", "administrator")
    key = gateway.add("one")
    first = gateway.api("POST", "devices/one/commands/open", administrator)[1]["command"]["id"]
    assert gateway.api("HEAD", "devices/commands", key)[0] == 200
    assert [command["state"] for command in gateway.api("GET", "devices/one/commands", administrator)[1]["commands"]] == ["queued"]
    for _ in range(100):
        number = gateway.api("POST", "devices/one/commands/shut", administrator)[1]["command"]["id"]
        assert gateway.api("POST", f"devices/commands/{number}/acknowledge", key)[0] == 200

    assert [command["id"] for command in gateway.api("GET", "devices/commands", key)[1]["commands"]] == [first]
    assert gateway.api("POST", f"devices/commands/{'9' * 5000}/acknowledge", key)[0] == 404


def test_what_is_too_much_is_told_when_to_come_again(fleet: Callable[..., Fleet]) -> None:
    """Requests and points are counted by key."""
    gateway = fleet(devices="requests_per_minute = 5\npoints_per_minute = 20")
    key, other, third = gateway.add("one"), gateway.add("two"), gateway.add("three")
    assert [gateway.api("PUT", "devices/config", third, {"configuration": {"n": n}})[0] for n in range(7)] == [200] * 5 + [429] * 2

    found = [gateway.api("POST", "influxdb/telemetry", key, POINT)[0] for _ in range(7)]
    many = gateway.api("POST", "influxdb/telemetry/batch", other, {"points": [POINT] * 18})
    more = gateway.api("POST", "influxdb/telemetry/batch", other, {"points": [POINT] * 18})

    assert found == [201] * 5 + [429] * 2
    assert many[0] == 201
    assert (more[0], more[1]["error"]) == (429, "too_many")
    assert "points per key" in more[1]["message"]


def test_a_change_of_the_registry_counts_for_later_points_only(fleet: Callable[..., Fleet]) -> None:
    """What a point says of its device was true when it was taken."""
    gateway = fleet()
    key = gateway.add("one")

    assert gateway.api("POST", "influxdb/telemetry", key, POINT)[0] == 201
    gateway.run("devices", "change", "one", "--name", "new name")
    assert gateway.api("POST", "influxdb/telemetry", key, POINT)[0] == 201

    assert [value["device_name"] for value in gateway.measured("one", key, 2)] == ["name of one", "new name"]


def test_a_device_registers_itself_and_sends(fleet: Callable[..., Fleet]) -> None:
    """From nothing to its first value, over HTTP alone."""
    gateway = fleet()
    registration = gateway.command_key("keys", "create", "--type", "registration")
    wanted = {"name": "Temperature Sensor 001", "device_type": "temperature_sensor", "location": "hall"}

    status, answer = gateway.api("POST", "devices/register", registration, wanted)
    again = gateway.api("POST", "devices/register", registration, wanted)

    device = answer["device"]
    assert status == 201
    assert (device["id"], device["name"], device["state"]) == ("1", "Temperature Sensor 001", "active")
    assert (again[0], again[1]["error"]) == (409, "device_exists")
    body = b'{"data":{"temperature":21.50,"humidity":40},"type":"temperature","metadata":{"rssi_class":"good"}}'
    assert gateway.api("POST", "devices/telemetry", device["api_key"], body)[0] == 201
    values = {value["field"]: value["value"] for value in gateway.measured("1", device["api_key"], 2)}
    assert values == {"value": 21.5, "humidity": 40}
    assert gateway.api("GET", "devices/status", device["api_key"])[1]["device"]["is_online"] is True


def test_nobody_reads_or_deletes_what_a_removed_device_sent(fleet: Callable[..., Fleet], tmp_path: Path) -> None:
    """Its id goes to no other device, by whatever key; whoever imports the device, or says that it is the same one, has it back."""
    gateway = fleet(devices='registration = "open"\nregistrations_per_minute = 0')
    administrator = gateway.command_key("keys", "create", "--type", "administrator")
    first = gateway.add("one")
    gateway.api("POST", "influxdb/telemetry", first, POINT)
    gateway.measured("one", first, 1)
    assert gateway.api("DELETE", "devices/one", administrator)[0] == 200

    for key in ("", administrator):
        status, problem = gateway.api("POST", "devices/register", key, {"id": "one", "name": "another", "device_type": "sensor"})
        assert (status, problem["error"]) == (409, "device_removed")
        assert "devices add --again" in problem["remedy"]
    refused = gateway.run("devices", "add", "another", "--id", "one", "--type", "sensor")
    assert refused.returncode != 0
    assert "add --again if it is the same device" in refused.stderr
    assert gateway.api("GET", "influxdb/device/one/data?start=-30d", administrator)[0] == 404

    key = gateway.add("one", "--again")
    assert len(gateway.measured("one", key, 1)) == 1
    assert gateway.run("devices", "remove", "one").returncode == 0
    (tmp_path / "devices.csv").write_text("id,name,type\none,the same,sensor\n")
    imported = gateway.run("devices", "import", str(tmp_path / "devices.csv"))
    assert imported.returncode == 0, imported.stderr
    key = imported.stdout.splitlines()[1].partition(",")[2]
    assert len(gateway.measured("one", key, 1)) == 1


def test_a_configuration_and_a_payload_have_as_many_levels_as_a_point(shared: tuple[Fleet, str]) -> None:
    """Whoever reads them later has bounds as well."""
    gateway, key = shared
    administrator = gateway.command_key("keys", "create", "--type", "administrator")

    def nested(levels: int) -> dict[str, Any]:
        return json.loads('{"a":' * levels + "1" + "}" * levels)  # type: ignore[no-any-return]

    for levels, status in ((64, 200), (65, 422), (900, 422), (5000, 422)):
        body = b'{"a":' * levels + b"1" + b"}" * levels
        answer = gateway.api("PUT", "devices/one/config", administrator, body)
        assert answer[0] == status, levels
        own = gateway.api("PUT", "devices/config", key, b'{"configuration":' + body + b"}")
        assert own[0] == status, levels
        command = gateway.api("POST", "devices/one/commands/deep", administrator, b'{"payload":' + body + b"}")
        assert command[0] == (202 if status == 200 else 422), levels
        if status != 200:
            assert {each[1]["error"] for each in (answer, own, command)} == {"too_deep"}
    assert gateway.api("GET", "devices/config", key)[1]["configuration"] == nested(64)


def test_an_import_that_was_cut_short_is_finished_by_the_same_command(fleet: Callable[..., Fleet], tmp_path: Path) -> None:
    """What is there keeps its key; a file with a device that cannot be added adds none; times are written for people."""
    gateway = fleet()
    csv = tmp_path / "devices.csv"
    head, rows = "id,name,type\n", [f"d{number},name {number},sensor\n" for number in range(1200)]
    csv.write_text(head + "".join(rows[:700]))
    first = gateway.run("devices", "import", str(csv))
    assert (first.returncode, len(first.stdout.splitlines())) == (0, 701), first.stderr
    csv.write_text(head + "".join(rows) + "d1200,name 3,sensor\nd1201,other,sensor\nd1201,another,sensor\n")

    refused = gateway.run("devices", "import", str(csv))

    assert refused.returncode != 0
    assert "device d1200: another device has the name 'name 3'" in refused.stderr
    assert "device d1201: another device has the id or user name d1201" in refused.stderr
    assert refused.stderr.rstrip().endswith("no device was added")
    assert len(json.loads(gateway.run("devices", "list", "--json").stdout)) == 700
    csv.write_text(head + "".join(rows))
    second = gateway.run("devices", "import", str(csv))
    assert (second.returncode, len(second.stdout.splitlines())) == (0, 501), second.stderr
    assert "700 devices exist already" in second.stderr
    for line in (first.stdout.splitlines()[1], second.stdout.splitlines()[-1]):
        device, _, key = line.partition(",")
        assert gateway.api("GET", "devices/status", key)[1]["device"]["id"] == device
    shown = json.loads(gateway.run("devices", "show", "d1").stdout)
    assert dt.datetime.fromisoformat(shown["created_at"]).tzinfo is not None
    assert dt.datetime.fromisoformat(shown["keys"][0]["created_at"]).tzinfo is not None


def test_an_import_may_be_repeated_after_a_device_was_renamed(fleet: Callable[..., Fleet], tmp_path: Path) -> None:
    """It is the same device, whose new name stays; the other devices of the file are added."""
    gateway = fleet()
    key = gateway.add("1")
    csv = tmp_path / "devices.csv"
    csv.write_text("id,name,type\n1,earlier name,sensor\n2,name of 2,sensor\n")

    imported = gateway.run("devices", "import", str(csv))

    assert imported.returncode == 0, imported.stderr
    assert [line.partition(",")[0] for line in imported.stdout.splitlines()] == ["id", "2"]
    assert "device 1 has the name 'name of 1' in the registry, and 'earlier name' in the file" in imported.stderr
    assert gateway.api("GET", "devices/status", key)[1]["device"]["name"] == "name of 1"


def test_a_registry_that_was_moved_gives_no_id_of_a_removed_device_away(fleet: Callable[..., Fleet], tmp_path: Path) -> None:
    """Its data is still there, and whoever got the id would read it."""
    old, new = Fleet(tmp_path / "old"), fleet(start=False)
    for number in range(1, 4):
        assert old.command_key("add", f"name {number}", "--type", "sensor")
    for removed in ("2", "3"):
        assert old.run("devices", "remove", removed).returncode == 0
    exported = tmp_path / "devices.csv"
    exported.write_text(old.run("devices", "export").stdout)

    for _ in range(2):
        imported = new.run("devices", "import", str(exported))
        assert imported.returncode == 0, imported.stderr
        assert "ids of removed devices taken over: 2" in imported.stderr
    refused = new.run("devices", "add", "another", "--id", "2", "--type", "sensor")
    assert "the id 2 belonged to a device that was removed" in refused.stderr
    assert new.command_key("add", "the next", "--type", "sensor")

    assert {each["id"] for each in json.loads(new.run("devices", "list", "--json").stdout)} == {"1", "4"}
    exported.write_text("id,name,type,state\n1,,,removed\n")
    kept = new.run("devices", "import", str(exported))
    assert "device 1 is removed in the file, but registered here: it stays" in kept.stderr
    exported.write_text("id,name,type,state\n7,a,sensor,removed\n8,b,sensor,\n8,,,removed\nstatus,,,removed\n")
    wrong = new.run("devices", "import", str(exported))
    assert f"{exported}:2: name: a line with the state removed has only an id" in wrong.stderr
    assert f"{exported}: device 8 is both a device and removed" in wrong.stderr
    assert f"{exported}:5: id: status is a word of the API" in wrong.stderr
    assert wrong.returncode != 0


@pytest.mark.parametrize("levels", [65, 5000])
def test_an_import_takes_no_configuration_with_too_many_levels(tmp_path: Path, levels: int) -> None:
    """The line is named, and nothing is added; in a database of IoTFlow it is the device."""
    gateway = Fleet(tmp_path / "gateway")
    deep = '{"a":' * levels + "1" + "}" * levels
    file, database = tmp_path / "devices.csv", tmp_path / "iotflow.db"
    quoted = deep.replace('"', '""')
    file.write_text(f'id,name,type,configuration\n1,a,sensor,"{quoted}"\n')
    with closing(sqlite3.connect(database)) as db:
        db.executescript(
            "CREATE TABLE devices (id INTEGER, name TEXT, api_key TEXT, status TEXT); INSERT INTO devices VALUES (1, 'a', 'k', 'active');"
            "CREATE TABLE device_configurations (id, device_id, config_key, config_value, data_type, is_active)"
        )
        db.execute("INSERT INTO device_configurations VALUES (1, 1, 'a', ?, 'json', 1)", (deep,))
        db.commit()

    for place, arguments in ((f"{file}:2: ", [str(file)]), ("device 1: ", ["--from-iotflow", str(database)])):
        refused = gateway.run("devices", "import", *arguments)
        assert refused.returncode != 0
        assert "Traceback" not in refused.stderr
        assert f"{place}configuration" in refused.stderr
        assert "objects and lists are nested more than 64 deep" in refused.stderr
        assert "no device was added" in refused.stderr
    assert json.loads(gateway.run("devices", "list", "--json").stdout) == []


def test_a_full_registry_takes_no_registration(fleet: Callable[..., Fleet]) -> None:
    """Whoever registers is told why; the command line still adds devices, and a removed device makes room."""
    gateway = fleet(devices='registration = "open"\nregistrations_per_minute = 0\nmax_devices = 2')
    administrator = gateway.command_key("keys", "create", "--type", "administrator")

    def register(name: str) -> tuple[int, Any]:
        status, document = gateway.api("POST", "devices/register", "", {"name": name, "device_type": "sensor"})
        return status, document.get("error")

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(register, [f"device {number}" for number in range(8)]))

    assert sorted(answers, key=str) == [(201, None)] * 2 + [(409, "too_many_devices")] * 6
    assert gateway.ask()["refused"]["devices"] == {"too_many_devices": 6}
    assert 'iiot_refused_requests_total{by="devices",reason="too_many_devices"} 6' in gateway.metrics()
    assert "by devices: 6 too_many_devices" in gateway.run("status").stdout
    until(lambda: "device_requests_refused" in gateway.log(), "a line of the log")
    gateway.add("third")
    assert gateway.api("DELETE", "devices/1", administrator)[0] == 200
    assert register("late") == (409, "too_many_devices")
    assert gateway.api("DELETE", "devices/2", administrator)[0] == 200
    assert register("late") == (201, None)


def test_every_answer_of_devices_is_as_the_description_says(fleet: Callable[..., Fleet]) -> None:
    """Schemathesis asks everything it can think of, as an administrator."""
    gateway = fleet(devices="requests_per_minute = 0\npoints_per_minute = 0\naddress_requests_per_minute = 0\nregistrations_per_minute = 0")
    administrator = gateway.command_key("keys", "create", "--type", "administrator")
    gateway.add("one")

    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"http://127.0.0.1:{gateway.port}/api/v1/openapi.json"),
            *("--header", f"X-API-Key: {administrator}", "--include-path-regex", "/(devices|influxdb|keys)"),
            # What no schema can say: that ids belong to one device, that a device speaks for itself, that times lie in order.
            *("--exclude-checks", "positive_data_acceptance,ignored_auth"),
            # It would revoke its own key.
            *("--exclude-operation-id", "delete keys/{number}"),
            *("--max-examples", "30", "--seed", "1", "--workers", "1", "--no-color"),
        ],
        cwd=gateway.folder,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-8000:]
    assert "passed" in done.stdout
