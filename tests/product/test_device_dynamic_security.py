"""Devices at a real Mosquitto: the gateway keeps an account for each through the dynamic security plug-in."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from device_clients import Client
from dynamic_security import ADMINISTRATOR, PASSWORD, TOPIC, Administrator, DynamicSecurity
from fleets import Fleet
from gateways import assert_balanced
from servers import Mosquitto, until
from subscribers import let_go

pytestmark = [pytest.mark.native, pytest.mark.slow]

SECTIONS = """
[mqtt]
broker_url = "{url}"
username = "{user}"
password = "{password}"
[mqtt_consumer]
broker_url = "{url}"
username = "{user}"
password = "{password}"
profile = "iotflow"
topics = ["iotflow/devices/+/telemetry/+", "iotflow/devices/+/status/+"]
[history]
path = "history.db"
"""


class Place:
    """A broker, a gateway, and whoever looks at both."""

    def __init__(self, folder: Path, broker: DynamicSecurity, user: str = ADMINISTRATOR) -> None:
        self.broker = broker
        self.other = Administrator(broker)
        sections = SECTIONS.format(url=broker.url, user=user, password=PASSWORD)
        self.fleet = Fleet(folder / "gateway", devices='mosquitto = "mqtt"\nsilence_s = 3600', sections=sections)
        self.clients: list[Client] = []

    def begin(self) -> None:
        """Start the gateway, and wait until the broker's messages come."""
        self.fleet.begin()
        self.fleet.until(lambda status: status["source"]["mqtt_consumer"]["state"] == "subscribed", "the consumer")

    def account(self, device_id: str) -> dict[str, Any]:
        """Return what the registry knows of an account."""
        shown = self.fleet.run("devices", "show", device_id)
        assert shown.returncode == 0, shown.stderr
        found: dict[str, Any] = json.loads(shown.stdout)["mqtt_account"]
        return found

    def until_state(self, device_id: str, state: str) -> None:
        """Wait for the state of an account."""
        until(lambda: self.account(device_id)["state"] == state, f"account of {device_id}: {state}; log: {self.fleet.log()[-3000:]}")

    def connect(self, user: str, key: str, client_id: str = "", version: str = "3.1.1", will: str = "") -> Client:
        """Connect a device."""
        self.clients.append(Client(self.broker.port, user, key, client_id or user, version, will))
        return self.clients[-1]

    def end(self) -> None:
        """End it all."""
        for client in self.clients:
            client.stop()
        self.other.stop()
        self.fleet.end()


@pytest.fixture
def broker(launch: Callable[..., DynamicSecurity]) -> DynamicSecurity:
    """A broker that has one account, which administrates."""
    return launch(DynamicSecurity)


@pytest.fixture
def place(tmp_path: Path, broker: DynamicSecurity) -> Iterator[Place]:
    """A broker and a gateway that runs."""
    made = Place(tmp_path, broker)
    made.begin()
    yield made
    made.end()


def test_the_documented_lines_make_an_account_that_suffices_the_gateway(tmp_path: Path, broker: DynamicSecurity) -> None:
    """Those of docs/devices.md, with the password that the command asks for."""
    page = (Path(__file__).parents[2] / "docs/devices.md").read_text()
    ask = ["mosquitto_ctrl", "-p", str(broker.port), "-u", ADMINISTRATOR, "-P", PASSWORD, "dynsec"]
    lines = [shlex.split(line, comments=True)[1:] for line in page.splitlines() if line.startswith("dynsec ")]
    assert lines
    for line in lines:
        subprocess.run([*ask, *line, *(("-p", PASSWORD) if line[0] == "createClient" else ())], check=True, capture_output=True)

    place = Place(tmp_path, broker, "gateway")
    place.begin()
    try:
        key = place.fleet.add("one")
        place.until_state("one", "ready")
        assert place.connect("one", key).is_in
    finally:
        place.end()


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_a_device_speaks_for_itself_alone_at_mosquitto(place: Place, version: str) -> None:
    """What it publishes elsewhere is not taken, and nothing else is shown to it, whatever the filter."""
    fleet = place.fleet
    key, other = fleet.add("one"), fleet.add("two")
    place.until_state("two", "ready")
    client, victim = place.connect("one", key, version=version), place.connect("two", other)
    assert (client.is_in, victim.is_in) == (True, True)
    assert victim.may_subscribe("iotflow/devices/two/commands/#")

    for topic in (
        "iotflow/devices/two/telemetry/temperature",
        "iotflow/devices/two/commands/restart",
        "iotflow/devices/one/commands/restart",
        "iotflow/devices/one/telemetries",
        "iiot/x",
        TOPIC,
    ):
        client.publish(topic, retain=True)
    client.publish("iotflow/devices/one/telemetry/temperature", '{"temperature":27.60}')
    granted = {
        pattern: client.may_subscribe(pattern)
        for pattern in (
            "iotflow/devices/one/commands/#",
            "iotflow/devices/one/commands/restart",
            "iotflow/devices/two/commands/#",
            "iotflow/devices/two/telemetry/#",
            "iotflow/devices/+/commands/#",
            "iotflow/#",
            "#",
            "+/+/+/+/+",
            "$share/group/iotflow/devices/two/commands/#",
            "$share/group/#",
            "$CONTROL/dynamic-security/v1/response",
            "$SYS/#",
            "iotflow/devices/one/telemetry/#",
        )
    }

    (value,) = fleet.measured("one", key, 1)
    assert (value["measurement"], value["field"], value["value"], value["device_name"]) == ("temperature", "value", 27.6, "name of one")
    assert [pattern for pattern, is_granted in granted.items() if is_granted] == [
        "iotflow/devices/one/commands/#",
        "iotflow/devices/one/commands/restart",
    ]
    watcher = place.connect(ADMINISTRATOR, PASSWORD, "watcher")
    assert watcher.may_subscribe("#")
    watcher.publish("the/last")
    until(lambda: any(topic == "the/last" for topic, _ in watcher.messages), "what is retained")
    assert [topic for topic, _ in watcher.messages if topic.startswith("iotflow") or topic == "iiot/x"] == []
    assert victim.messages == []
    assert fleet.values("two", other, 0) == []
    client.publish(TOPIC, '{"commands":[{"command":"deleteClient","username":"two"}]}')
    assert client.ends == 0
    assert sorted(place.other.accounts()) == [ADMINISTRATOR, "one", "two"]
    assert_balanced(fleet.ask())


def test_nobody_comes_into_mosquitto_under_the_name_of_another(place: Place) -> None:
    """A client id that belongs to another device is refused, so no session is taken over; nor is a will for another taken."""
    key, other = place.fleet.add("one"), place.fleet.add("two", "--user-name", "pump")
    place.until_state("two", "ready")
    place.until_state("one", "ready")
    standing = place.connect("pump", other, "two")
    watcher = place.connect(ADMINISTRATOR, PASSWORD, "watcher")
    assert standing.is_in
    assert watcher.may_subscribe("iotflow/devices/two/#")

    refused = [
        ("one", other, "one"),
        ("one", key[:-1], "one"),
        ("one", key, "two"),
        ("one", key, "anything"),
        ("two", other, "two"),
        ("nobody", key, "nobody"),
    ]
    assert [place.connect(*each).is_in for each in refused] == [False] * len(refused)
    foreign = place.connect("one", key, will="iotflow/devices/two/status/offline")
    if foreign.is_in:
        foreign.client.socket().close()
    let_go(foreign.client)
    standing.publish("iotflow/devices/two/telemetry/temperature")

    until(lambda: bool(watcher.messages), "the message of the device that stands")
    assert [topic for topic, _ in watcher.messages] == ["iotflow/devices/two/telemetry/temperature"]
    assert standing.ends == 0


def test_rotating_disabling_and_removing_ends_sessions_at_mosquitto(place: Place) -> None:
    """At once, and what is enabled again comes in with the same key."""
    keys = {name: place.fleet.add(name) for name in ("rotated", "disabled", "removed")}
    for name in keys:
        place.until_state(name, "ready")
    clients = {name: place.connect(name, key) for name, key in keys.items()}
    assert all(client.is_in for client in clients.values())

    new = place.fleet.command_key("rotate", "rotated")
    for arguments in (("disable", "disabled"), ("remove", "removed")):
        assert place.fleet.run("devices", *arguments).returncode == 0

    for name, client in clients.items():
        until(lambda client=client: client.ends > 0, f"the end of the session of {name}")
        let_go(client.client)
    place.until_state("disabled", "disabled")
    until(lambda: sorted(place.other.accounts()) == [ADMINISTRATOR, "disabled", "rotated"], "the end of an account")
    until(lambda: len(place.other.roles()) == 3, "the end of a role")
    assert [place.connect(name, key).is_in for name, key in keys.items()] == [False, False, False]
    assert place.connect("rotated", new).is_in
    assert place.fleet.run("devices", "enable", "disabled").returncode == 0
    place.until_state("disabled", "ready")
    assert place.connect("disabled", keys["disabled"]).is_in

    written = place.broker.file.read_bytes()
    place.fleet.stop()
    place.begin()
    last = place.fleet.add("last")
    place.until_state("last", "ready")
    place.fleet.run("devices", "remove", "last")
    until(lambda: sorted(place.other.accounts()) == [ADMINISTRATOR, "disabled", "rotated"], "the end of the last account")
    until(lambda: len(place.other.roles()) == 3, "the end of its role")
    assert last
    assert json.loads(place.broker.file.read_bytes()) == json.loads(written)


def test_registration_and_rotation_over_http_reach_mosquitto(place: Place) -> None:
    """The device logs in with the key of the answer; its key is in no log."""
    fleet = place.fleet
    registration = fleet.command_key("keys", "create", "--type", "registration")
    status, document = fleet.api("POST", "devices/register", registration, {"name": "boiler", "device_type": "esp32"})
    assert status == 201
    device_id, key = document["device"]["id"], document["device"]["api_key"]
    place.until_state(device_id, "ready")
    client = place.connect(device_id, key)
    assert client.is_in

    status, document = fleet.api("POST", f"devices/{device_id}/keys", key, {})

    assert status == 201
    new = document["api_key"]
    until(lambda: client.ends > 0, "the end of the session")
    let_go(client.client)
    until(lambda: place.connect(device_id, new).is_in, "the new key at the broker")
    place.until_state(device_id, "ready")
    stored = b"".join(path.read_bytes() for path in fleet.folder.iterdir() if path.is_file())
    assert key.encode() not in stored
    assert new.encode() not in stored


def test_what_is_registered_while_mosquitto_is_away_waits(place: Place) -> None:
    """It is done when the broker is back."""
    place.fleet.add("before")
    place.until_state("before", "ready")
    place.broker.kill9()
    key = place.fleet.add("meanwhile")
    assert place.account("meanwhile")["state"] == "waiting"
    assert place.fleet.run("devices", "disable", "before").returncode == 0

    place.broker.start()

    place.until_state("meanwhile", "ready")
    place.until_state("before", "disabled")
    assert place.connect("meanwhile", key).is_in


def test_a_key_that_died_with_the_gateway_is_told(place: Place) -> None:
    """It is never stored, so the device is to be rotated; the broker's other accounts stay as they are."""
    kept = place.fleet.add("kept")
    place.until_state("kept", "ready")
    place.broker.kill9()
    lost = place.fleet.add("lost")
    place.fleet.kill9()
    without = place.fleet.run("devices", "add", "third", "--id", "third", "--type", "sensor")
    assert "devices rotate" in without.stderr
    place.broker.start()

    place.begin()

    for name in ("lost", "third"):
        place.until_state(name, "rotate")
    place.until_state("kept", "ready")
    assert "need somebody (rotate)" in place.fleet.ask()["source"]["devices"]["detail"]
    assert place.connect("kept", kept).is_in
    assert not place.connect("lost", lost).is_in
    new = place.fleet.command_key("rotate", "lost")
    place.until_state("lost", "ready")
    assert place.connect("lost", new).is_in


def test_accounts_of_others_are_left_alone_and_told(place: Place) -> None:
    """Those that another made have other roles; this registry's own are put right."""
    fleet, other = place.fleet, place.other
    key = fleet.add("pump")
    place.until_state("pump", "ready")
    # After the gateway has asked the broker for its accounts, so that the broker's refusal tells of this one.
    other.ask("createRole", rolename="people", acls=[])
    other.ask("createClient", username="boiler", password=PASSWORD, roles=[{"rolename": "people"}])
    fleet.add("boiler")
    place.until_state("boiler", "taken")
    (role,) = (name for name in other.roles() if name.endswith(" pump"))
    fleet.stop()
    prefix = role.removesuffix("pump")
    everything = [{"acltype": "subscribePattern", "topic": "#", "priority": 9, "allow": True}]
    other.ask("modifyRole", rolename=role, acls=everything)
    other.ask("setClientId", username="pump", clientid="")
    other.ask("createRole", rolename=f"{prefix}gone", acls=everything)
    other.ask("createClient", username="gone", password=PASSWORD, roles=[{"rolename": f"{prefix}gone"}])

    place.begin()

    until(lambda: "gone" not in other.accounts() and f"{prefix}gone" not in other.roles(), "the end of what is too much")
    until(lambda: other.accounts()["pump"].get("clientid") == "pump", "the client id of the account")
    assert not place.connect("pump", key).may_subscribe("#")
    assert other.accounts()["boiler"] == {"username": "boiler", "roles": [{"rolename": "people"}], "groups": []}
    other.ask("deleteClient", username="boiler")
    new = fleet.command_key("rotate", "boiler")
    place.until_state("boiler", "ready")
    assert place.connect("boiler", new).is_in


def test_what_is_exported_lets_devices_into_a_mosquitto_without_the_plug_in(tmp_path: Path, launch: Callable[..., Mosquitto]) -> None:
    """With the hash of the newest key, and bound to their own topics and sessions; disabled ones are left out."""
    fleet = Fleet(tmp_path / "gateway")
    keys = {name: fleet.add(name) for name in ("one", "disabled")}
    other = fleet.add("two", "--user-name", "pump")
    assert fleet.run("devices", "disable", "disabled").returncode == 0
    folder = tmp_path / "exported"

    exported = fleet.run("devices", "export", "--mosquitto", str(folder))

    assert exported.returncode == 0, exported.stderr
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {"devices.acl": 0o600, "devices.passwords": 0o600}
    files = f"max_queued_messages 1000\nacl_file {folder}/devices.acl\npassword_file {folder}/devices.passwords"
    broker = launch(Mosquitto, extra=f"allow_anonymous false\nuse_username_as_clientid true\n{files}")
    clients = [
        Client(broker.port, user, key, user, "3.1.1")
        for user, key in (("one", keys["one"]), ("pump", other), ("disabled", keys["disabled"]), ("one", other), ("one", keys["one"][:-1]))
    ]
    assert [client.is_in for client in clients] == [True, True, False, False, False]
    assert clients[1].may_subscribe("iotflow/devices/two/commands/#")
    clients[0].publish("iotflow/devices/two/commands/restart")
    assert not clients[0].may_subscribe("iotflow/devices/two/commands/#") or clients[0].messages == []
    assert clients[1].messages == []
    for client in clients:
        client.stop()


def test_doctor_asks_the_plug_in(place: Place, launch: Callable[..., Mosquitto]) -> None:
    """And says what is wrong: defaults that are open, an account without the right, a broker without the plug-in or without life."""
    fleet, other = place.fleet, place.other
    fleet.add("one")
    place.until_state("one", "ready")

    def finding() -> dict[str, Any]:
        done = fleet.run("doctor", "--json")
        (found,) = [each for each in json.loads(done.stdout) if each["subject"].startswith("devices accounts")]
        assert isinstance(found, dict)
        return found

    assert (finding()["ok"], finding()["detail"]) == (True, "the plug-in answers; 1 of its roles are of devices below iotflow/devices")
    other.ask("setDefaultACLAccess", acls=[{"acltype": "subscribe", "allow": True}])
    assert "allows subscribe, so every device" in finding()["detail"]
    other.ask("setDefaultACLAccess", acls=[{"acltype": "subscribe", "allow": False}])
    other.ask("createRole", rolename="weak", acls=[])
    other.ask("createClient", username="weak", password=PASSWORD, roles=[{"rolename": "weak"}])
    written = fleet.config.read_text()
    fleet.config.write_text(written.replace(f'username = "{ADMINISTRATOR}"', 'username = "weak"'))
    assert "$CONTROL/dynamic-security" in finding()["remedy"] + finding()["detail"]
    bare = launch(Mosquitto)
    fleet.config.write_text(written.replace(place.broker.url, bare.url))
    assert "no answer to a command of dynamic security" in finding()["detail"]
    bare.stop()
    assert (finding()["ok"], finding()["detail"].partition(":")[0]) == (False, "unreachable")


def test_a_kill_amid_many_new_devices_leaves_none_in_doubt(place: Place) -> None:
    """Each is ready, and lets its device in; or it says that it must be rotated, and lets nobody in."""
    fleet = place.fleet
    # So many that there is work left when the command has ended.
    count = 150
    csv = fleet.folder / "devices.csv"
    csv.write_text("id,name,type\n" + "".join(f"d{number},name {number},sensor\n" for number in range(count)))
    imported = fleet.run("devices", "import", str(csv))
    assert imported.returncode == 0, imported.stderr
    until(lambda: len(place.other.accounts()) > count // 4, "some of the accounts")
    fleet.kill9()
    assert len(place.other.accounts()) < count

    place.begin()

    states: dict[str, str] = {}

    def settled() -> bool:
        states.update({each["id"]: each["mqtt_account"] for each in json.loads(fleet.run("devices", "list", "--json").stdout)})
        return len(states) == count and set(states.values()) <= {"ready", "rotate"}

    until(settled, "the state of every account")
    accounts = place.other.accounts()
    may_log_in = {name for name, account in accounts.items() if not account.get("disabled")} - {ADMINISTRATOR}
    assert may_log_in == {name for name, state in states.items() if state == "ready"}
    assert 0 < len(may_log_in) < count
    keys = dict(line.split(",") for line in imported.stdout.split()[1:])
    for name in (*sorted(may_log_in)[:3], *sorted(may_log_in)[-3:]):
        assert place.connect(name, keys[name]).is_in
    assert not any(place.connect(name, keys[name]).is_in for name in sorted(states.keys() - may_log_in)[:5])
