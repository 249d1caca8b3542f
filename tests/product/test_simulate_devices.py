"""`simulate devices`: what the ledger of the devices says that the gateway answered is what the history has, once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleets import Fleet
from gateways import assert_balanced
from servers import free_port, until

pytestmark = [pytest.mark.native, pytest.mark.slow]

MEASURED = ("temperature", "humidity", "battery")
MQTT = """
[broker]
listen = "127.0.0.1:{port}"
username = "gateway"
password = "a-password"
[mqtt]
broker_url = "embedded"
[mqtt_consumer]
broker_url = "embedded"
profile = "iotflow"
topics = ["iotflow/devices/+/telemetry/+", "iotflow/devices/+/status/+"]
[history]
path = "history.db"
"""


class Simulation:
    """Running devices, and the ledger that they print."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "iiot_gateway", "simulate", "devices", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ledger(self, *, status: int = 0) -> dict[str, Any]:
        """Wait until it ends; return the ledger."""
        out, err = self.process.communicate(timeout=120)
        assert self.process.returncode == status, (out, err)
        self.words = err
        document: dict[str, Any] = json.loads(out)
        assert document["sent"] == document["answered"] + document["refused"] + document["unanswered"]
        return document

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """A gateway for devices with a history."""
    gateway = Fleet(tmp_path / "gateway", devices="requests_per_minute = 0\nregistrations_per_minute = 0")
    yield gateway
    gateway.end()


@pytest.fixture
def broker_fleet(tmp_path: Path) -> Iterator[Fleet]:
    """A gateway with a built-in broker for devices."""
    port = free_port()
    gateway = Fleet(tmp_path / "gateway", devices="registrations_per_minute = 0", sections=MQTT.replace("{port}", str(port)))
    gateway.broker_port = port  # type: ignore[attr-defined]
    yield gateway
    gateway.end()


def registration_key(fleet: Fleet) -> str:
    """Return a file with a key that registers devices."""
    path = fleet.folder / "registration.key"
    path.write_text(fleet.command_key("keys", "create", "--type", "registration") + "\n")
    return str(path)


def stored(fleet: Fleet, reader: str) -> Counter[str]:
    """Return how many points the history has of what the devices measured and of their own heartbeats, by type."""
    found: Counter[str] = Counter()
    for device in fleet.api("GET", "devices", reader)[1]["devices"]:
        for value in fleet.values(device["id"], reader, 0):
            if value["measurement"] in MEASURED:
                found[value["measurement"]] += 1
    return found


def measured(ledger: dict[str, Any]) -> Counter[str]:
    """Return what was answered, without heartbeats: the gateway makes points of presence beside them."""
    return Counter({kind: number for kind, number in ledger["answered_by_type"].items() if kind in MEASURED})


def test_devices_register_themselves_and_each_answered_post_is_a_point(fleet: Fleet) -> None:
    """Over HTTP; a second run goes on with the same devices."""
    reader = fleet.command_key("keys", "create", "--type", "reader")
    key = registration_key(fleet)
    keys = fleet.folder / "keys.csv"
    fleet.begin()
    url = f"http://127.0.0.1:{fleet.port}"
    arguments = (
        "--http",
        url,
        "--devices",
        "4",
        "--rate",
        "max",
        "--count",
        "400",
        "--registration-key-file",
        key,
        "--keys-file",
        str(keys),
    )

    first = Simulation(*arguments).ledger()
    second = Simulation(*arguments).ledger()

    assert (first["registered"], first["sent"], first["answered"]) == (4, 400, 400)
    assert (second["registered"], second["answered"]) == (0, 400)
    assert first["answered_by_type"]["heartbeat"] > 0
    assert len(fleet.api("GET", "devices", reader)[1]["devices"]) == 4
    expected = measured(first) + measured(second)
    until(lambda: stored(fleet, reader) == expected, "every point")
    assert keys.stat().st_mode & 0o077 == 0
    assert_balanced(fleet.status())


def test_what_a_killed_gateway_did_not_answer_is_sent_again_and_stored_once(fleet: Fleet) -> None:
    """Nothing answered is lost, nothing is doubled."""
    reader = fleet.command_key("keys", "create", "--type", "reader")
    key = registration_key(fleet)
    fleet.begin()
    url = f"http://127.0.0.1:{fleet.port}"
    simulation = Simulation("--http", url, "--devices", "4", "--rate", "400", "--count", "1200", "--registration-key-file", key)

    for accepted in (100, 400):
        fleet.until(lambda status, least=accepted: status["intake"]["accepted"] >= least, "some posts")
        fleet.kill9()
        fleet.begin()
    ledger = simulation.ledger()

    assert ledger["sent_again"] > 0
    assert (ledger["answered"], ledger["unanswered"]) == (1200, 0)
    until(lambda: stored(fleet, reader) == measured(ledger), "every point once")


def test_commands_reach_devices_over_http(fleet: Fleet) -> None:
    """They are asked for with each heartbeat, and acknowledged; Ctrl-C ends the devices with a ledger that is balanced."""
    administrator = fleet.command_key("keys", "create", "--type", "administrator")
    fleet.begin()
    key = registration_key(fleet)
    simulation = Simulation("--http", f"http://127.0.0.1:{fleet.port}", "--rate", "100", "--registration-key-file", key)

    def devices() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = fleet.api("GET", "devices", administrator)[1]["devices"]
        return found

    until(lambda: bool(devices()), "the device")
    path = f"devices/{devices()[0]['id']}/commands"
    assert fleet.api("POST", f"{path}/restart", administrator, {})[0] == 202
    until(lambda: fleet.api("GET", path, administrator)[1]["commands"][0]["state"] == "acknowledged", "the acknowledgement")
    simulation.interrupt()
    ledger = simulation.ledger()

    assert ledger["commands"] == 1
    assert ledger["unanswered"] == 0


def test_a_key_that_is_not_taken_is_told(fleet: Fleet) -> None:
    """A wrong registration key ends it with the gateway's own words; a disabled device's posts are refused."""
    fleet.begin()
    url = f"http://127.0.0.1:{fleet.port}"
    wrong = fleet.folder / "wrong.key"
    wrong.write_text("not-a-key")
    simulation = Simulation("--http", url, "--count", "3", "--registration-key-file", str(wrong))

    assert simulation.ledger(status=1)["sent"] == 0
    assert "cannot register: 401" in simulation.words

    keys = fleet.folder / "keys.csv"
    keys.write_text(f"id,api_key\none,{fleet.add('one')}\n")
    assert fleet.run("devices", "disable", "one").returncode == 0
    refused = Simulation("--http", url, "--count", "1", "--rate", "max", "--keys-file", str(keys)).ledger(status=1)
    assert refused["refused"] == 1
    assert "this device is disabled" in next(iter(refused["refusals"]))


def test_devices_log_in_at_the_broker_take_commands_and_leave_a_last_will(broker_fleet: Fleet) -> None:
    """They register over HTTP, publish over MQTT, and a killed one is offline at once."""
    fleet = broker_fleet
    administrator = fleet.command_key("keys", "create", "--type", "administrator")
    key = registration_key(fleet)
    keys = fleet.folder / "keys.csv"
    fleet.begin()
    fleet.until(lambda status: status["source"]["mqtt_consumer"]["state"] == "subscribed", "the built-in broker")
    broker = ("--broker", f"mqtt://127.0.0.1:{fleet.broker_port}", "--keys-file", str(keys))  # type: ignore[attr-defined]
    http = ("--http", f"http://127.0.0.1:{fleet.port}", "--registration-key-file", key)

    first = Simulation(*broker, *http, "--devices", "3", "--rate", "100", "--count", "120").ledger()
    assert (first["registered"], first["answered"]) == (3, 120)
    until(lambda: stored(fleet, administrator) == measured(first), "every point once")

    before = fleet.ask()["intake"]["accepted"]
    simulation = Simulation(*broker, "--devices", "1", "--rate", "20")
    # It publishes once its subscriptions stand; a command before would reach nobody.
    fleet.until(lambda status: status["intake"]["accepted"] > before, "the device at the broker")
    device_id = keys.read_text().splitlines()[1].partition(",")[0]

    def presence() -> str:
        found: str = fleet.api("GET", f"devices/{device_id}", administrator)[1]["device"]["presence"]
        return found

    path = f"devices/{device_id}/commands"
    assert fleet.api("POST", f"{path}/restart", administrator, {})[0] == 202
    until(lambda: fleet.api("GET", path, administrator)[1]["commands"][0]["state"] == "acknowledged", "the acknowledgement")
    assert presence() == "online"
    simulation.process.kill()
    simulation.process.communicate()
    until(lambda: presence() == "offline", "the last will")
    status = fleet.status()
    assert_balanced(status)
    assert status["intake"]["rejected"] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "needs --http URL"),
        (("--broker", "mqtt://127.0.0.1"), "name --keys-file FILE"),
        (("--http", "ftp://x"), "expected http://HOST:PORT"),
        (("--http", "http://127.0.0.1", "--devices", "201"), "expected 1 to 200"),
        (("--http", "http://127.0.0.1", "--registration-key-file", "missing"), "cannot be read"),
    ],
)
def test_what_cannot_be_is_said_at_once(arguments: tuple[str, ...], words: str) -> None:
    """Before anything is sent."""
    simulation = Simulation(*arguments)
    out, err = simulation.process.communicate(timeout=60)

    assert (simulation.process.returncode, out) == (1, "")
    assert words in err
