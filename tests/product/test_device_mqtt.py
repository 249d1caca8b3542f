"""Devices over MQTT: each logs in with its key, speaks for itself alone, gets its commands, and is offline when it is gone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from device_clients import Client
from fleets import NOON, Fleet
from gateways import assert_balanced
from registries import in_server
from servers import Mosquitto, free_port, until
from subscribers import Subscriber, let_go

pytestmark = [pytest.mark.native, pytest.mark.slow]

SECTIONS = """
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


@pytest.fixture(params=["sqlite", "postgresql"])
def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fleet]:
    """A gateway with a built-in broker for devices, and its registry in either database."""
    port = free_port()
    settings = {"devices": "silence_s = 3600", "sections": SECTIONS.replace("{port}", str(port))}
    if request.param == "postgresql":
        settings = in_server(request.getfixturevalue("shared_postgres"), settings)
    gateway = Fleet(tmp_path / "gateway", **settings)
    gateway.broker_port = port  # type: ignore[attr-defined]
    gateway.begin()
    gateway.until(lambda status: status["source"]["mqtt_consumer"]["state"] == "subscribed", "the built-in broker")
    yield gateway
    gateway.end()


@pytest.fixture
def connect(fleet: Fleet) -> Iterator[Callable[..., Client]]:
    """A function that connects a device."""
    clients: list[Client] = []

    def begin(user: str, key: str, client_id: str = "", version: str = "3.1.1", will: str = "") -> Client:
        clients.append(Client(fleet.broker_port, user, key, client_id or user, version, will))  # type: ignore[attr-defined]
        return clients[-1]

    yield begin
    for client in clients:
        client.stop()


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_a_device_speaks_for_itself_alone(fleet: Fleet, connect: Callable[..., Client], version: str) -> None:
    """What it publishes elsewhere is not taken, and nothing else is shown to it, whatever the filter."""
    key, _other = fleet.add("one"), fleet.add("two")
    until(lambda: connect("one", key, version=version).is_in, "the new device at the broker")
    client = connect("one", key, "one:second", version)
    assert client.is_in

    for topic in (
        "iotflow/devices/two/telemetry/temperature",
        "iotflow/devices/one/commands/restart",
        "iotflow/devices/one/telemetry",
        "iiot/x",
    ):
        client.publish(topic)
    client.publish("iotflow/devices/one/telemetry/temperature", '{"temperature":27.60}')
    granted = {
        pattern: client.may_subscribe(pattern)
        for pattern in (
            "iotflow/devices/one/commands/#",
            "iotflow/devices/one/commands/restart",
            "iotflow/devices/two/commands/#",
            "iotflow/devices/+/commands/#",
            "iotflow/#",
            "#",
            "$share/group/iotflow/devices/two/commands/#",
            "iotflow/devices/one/telemetry/#",
        )
    }

    (value,) = fleet.measured("one", key, 1)
    assert (value["measurement"], value["field"], value["value"], value["device_name"]) == ("temperature", "value", 27.6, "name of one")
    assert [pattern for pattern, is_granted in granted.items() if is_granted] == [
        "iotflow/devices/one/commands/#",
        "iotflow/devices/one/commands/restart",
    ]
    counted = fleet.ask()["refused"]["broker"]
    assert (counted["foreign_topic"], counted["foreign_filter"]) == (3, 6)
    assert_balanced(fleet.ask())


def test_nobody_comes_in_without_the_right_key_or_under_the_name_of_another(fleet: Fleet, connect: Callable[..., Client]) -> None:
    """A client id that belongs to another device is refused, so no session is taken over."""
    key, other = fleet.add("one"), fleet.add("two", "--user-name", "pump")
    until(lambda: connect("pump", other, "two:first").is_in, "the new device at the broker")
    standing = connect("pump", other, "two")

    assert standing.is_in
    refused = [
        ("one", other, "one"),
        ("one", key[:-1], "one"),
        ("one", key, "two"),
        ("one", key, "two:x"),
        ("one", key, "anything"),
        ("nobody", key, "nobody"),
        ("gateway", "wrong", "x"),
        ("gateway", "a-password", "one"),
    ]
    before = fleet.ask()["refused"]["broker"]
    assert [connect(*each).is_in for each in refused] == [False] * len(refused)
    after = fleet.ask()["refused"]["broker"]
    assert {reason: count - before.get(reason, 0) for reason, count in after.items() if count > before.get(reason, 0)} == {
        "wrong_key": 2,
        "foreign_client_id": 4,
        "unknown_user": 1,
        "wrong_password": 1,
    }
    assert f'iiot_refused_requests_total{{by="broker",reason="foreign_client_id"}} {after["foreign_client_id"]}' in fleet.metrics()
    until(lambda: "broker_refused" in fleet.log(), "a line of the log")
    standing.publish("iotflow/devices/two/telemetry/temperature")
    assert standing.ends == 0


def test_a_key_that_is_gone_ends_the_session(fleet: Fleet, connect: Callable[..., Client]) -> None:
    """By a rotation, by disabling, by removing."""
    keys = {name: fleet.add(name) for name in ("rotated", "disabled", "removed")}
    until(lambda: connect("removed", keys["removed"]).is_in, "the last device at the broker")
    clients = {name: connect(name, key, f"{name}:session") for name, key in keys.items()}
    assert all(client.is_in for client in clients.values())

    for arguments in (("rotate", "rotated", "--overlap-h", "0"), ("disable", "disabled"), ("remove", "removed")):
        assert fleet.run("devices", *arguments).returncode == 0

    for name, client in clients.items():
        until(lambda client=client: client.ends > 0, f"the end of the session of {name}")
    assert fleet.ask()["refused"]["broker"]["key_gone"] >= len(clients)
    assert not connect("disabled", keys["disabled"], "disabled:again").is_in
    assert fleet.ask()["refused"]["broker"]["disabled_device"] >= 1


def test_commands_reach_the_device_once_and_are_acknowledged(fleet: Fleet, connect: Callable[..., Client]) -> None:
    """Queued, sent and acknowledged, as the API shows; a configuration waits for a device that is away."""
    administrator = fleet.command_key("keys", "create", "--type", "administrator")
    key = fleet.add("one")
    fleet.api("PUT", "devices/one/config", administrator, {"every_s": 5})
    until(lambda: connect("one", key).is_in, "the new device at the broker")
    client = connect("one", key, "one:commands")
    assert client.may_subscribe("iotflow/devices/one/commands/#")
    credentials = fleet.api("GET", "devices/mqtt-credentials", key)[1]["credentials"]
    assert (credentials["mqtt_port"], credentials["username"], credentials["client_id"]) == (fleet.broker_port, "one", "one")  # type: ignore[attr-defined]

    status, answer = fleet.api("POST", "devices/one/commands/restart", administrator, {"payload": {"in_s": 5}})

    number = answer["command"]["id"]
    assert status == 202
    until(lambda: len(client.messages) >= 2, "configuration and command")
    received = {topic: json.loads(payload) for topic, payload in client.messages}
    assert received == {
        "iotflow/devices/one/commands/config": {"configuration": {"every_s": 5}, "version": 1},
        "iotflow/devices/one/commands/restart": {"command_id": number, "payload": {"in_s": 5}},
    }

    def state() -> str:
        found: str = fleet.api("GET", "devices/one/commands", administrator)[1]["commands"][0]["state"]
        return found

    until(lambda: state() == "sent", "the broker's acknowledgement")
    client.publish("iotflow/devices/one/status/command", json.dumps({"command_id": number}))
    until(lambda: state() == "acknowledged", "the device's acknowledgement")
    assert len(client.messages) == 2


@pytest.mark.parametrize("limit", [1000, 0])
def test_a_command_that_the_broker_refuses_is_not_told_as_sent(tmp_path: Path, launch: Callable[..., Mosquitto], limit: int) -> None:
    """It stays queued, and others go their way; after a restart, the gateway sends it again, and a configuration too."""
    acl = tmp_path / "acl"
    acl.write_text("topic read iotflow/#\ntopic write iotflow/devices/one/commands/allowed\n")
    # Without a limit, Mosquitto 2.0 ends the connection of a client whose publish it denies.
    broker = launch(Mosquitto, extra=f"acl_file {acl}\nmax_queued_messages {limit}\n")
    consumer = f'broker_url = "{broker.url}"\nprotocol = "5"\nprofile = "iotflow"\ntopics = ["iotflow/devices/+/telemetry/+"]'
    gateway = Fleet(tmp_path / "gateway", devices="silence_s = 3600", sections=f"[mqtt_consumer]\n{consumer}\n")
    administrator = gateway.command_key("keys", "create", "--type", "administrator")
    gateway.add("one")
    gateway.begin()

    def command(kind: str) -> None:
        assert gateway.api("POST", f"devices/one/commands/{kind}", administrator)[0] == 202

    def commands() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = gateway.api("GET", "devices/one/commands", administrator)[1]["commands"]
        return found

    def states() -> dict[str, str]:
        return {each["type"]: each["state"] for each in commands()}

    try:
        assert gateway.api("PUT", "devices/one/config", administrator, {"every_s": 5})[0] == 200
        command("denied")
        until(lambda: '"state": "refused", "reason": "not authorised to publish"' in gateway.log(), "the refusal")
        command("allowed")
        until(lambda: states()["allowed"] == "sent", "the broker's acknowledgement")
        assert states()["denied"] == "queued"
        acl.write_text("topic readwrite iotflow/#\n")
        broker.restart()
        command("denied")
        until(lambda: gateway.log().count('"state": "sent"') == 2, "the acknowledgement of the next one")
        assert sorted(each["state"] for each in commands()) == ["queued", "sent", "sent"]
        gateway.kill9()
        gateway.begin()
        until(lambda: {each["state"] for each in commands()} == {"sent"}, "the acknowledgement of the first one")
        subscriber = Subscriber(broker.port, "iotflow/#").start()
        subscriber.wait(lambda s: "iotflow/devices/one/commands/config" in s.messages, "the configuration")
        subscriber.stop()
    finally:
        gateway.end()


def test_a_last_will_makes_a_device_offline_and_its_next_word_online(fleet: Fleet, connect: Callable[..., Client]) -> None:
    """In the API, as points, and as a retained topic."""
    key = fleet.add("one")
    until(lambda: connect("one", key).is_in, "the new device at the broker")
    watcher = connect("gateway", "a-password", "watcher")
    assert watcher.may_subscribe("iiot/gateway/devices/#")
    client = connect("one", key, "one:will", will="iotflow/devices/one/status/offline")

    def presence() -> str:
        found: str = fleet.api("GET", "devices/one", key)[1]["device"]["presence"]
        return found

    client.publish("iotflow/devices/one/telemetry/temperature")
    until(lambda: presence() == "online", "the device online")
    client.client.socket().close()
    let_go(client.client)
    until(lambda: presence() == "offline", "the device offline")
    until(lambda: watcher.messages[-1:] == [("iiot/gateway/devices/one", b"offline")], "the retained topic")
    again = connect("one", key, "one:again")
    again.publish("iotflow/devices/one/telemetry/temperature")
    until(lambda: watcher.messages[-1:] == [("iiot/gateway/devices/one", b"online")], "the retained topic again")


def test_a_silent_device_is_told_once_over_restarts(tmp_path: Path) -> None:
    """As an event and as one point."""
    gateway = Fleet(tmp_path / "gateway", devices="silence_s = 4")
    key = gateway.add("one")
    gateway.begin()
    try:
        assert gateway.api("POST", "influxdb/telemetry", key, {"measurement": "m", "fields": {"v": 1}})[0] == 201
        gateway.until_online("one")
        until(lambda: '"presence": "offline"' in gateway.log(), "the device offline")
        gateway.kill9()
        gateway.begin()
        until(lambda: gateway.log().count("gateway_started") == 2, "the second start")
        assert gateway.api("POST", "influxdb/telemetry", key, {"measurement": "m", "fields": {"v": 2}})[0] == 201
        until(lambda: gateway.log().count('"presence": "offline"') == 2, "the device offline again")
        states = [value["value"] for value in gateway.values("one", key, 6) if value["measurement"] == "status"]
        assert states == ["online", "offline", "online", "offline"]
    finally:
        gateway.end()


def test_what_an_unknown_device_sent_is_taken_once_it_is_registered(fleet: Fleet, connect: Callable[..., Client]) -> None:
    """It waits as a reject."""
    sender = connect("gateway", "a-password", "somebody")
    sender.publish("iotflow/devices/late/telemetry/temperature", f'{{"temperature":21.5,"timestamp":"{NOON}"}}')
    fleet.until(lambda status: status["intake"]["rejected"] == 1, "the reject")
    (reject,) = fleet.ask("rejects")
    assert reject["reason"] == "unknown_device"

    key = fleet.add("late")
    until(lambda: connect("late", key).is_in, "the new device at the broker")
    done = fleet.run("rejects", "retry", "--json")

    assert json.loads(done.stdout)["accepted"] == 1, done.stderr
    (value,) = fleet.measured("late", key, 1)
    assert (value["time"], value["value"], value["device_name"]) == (NOON, 21.5, "name of late")


def test_a_removed_device_leaves_no_configuration_behind(fleet: Fleet, connect: Callable[..., Client]) -> None:
    """If it comes back, it does not get what it was told before."""
    administrator = fleet.command_key("keys", "create", "--type", "administrator")
    fleet.add("one")
    watcher = connect("gateway", "a-password", "a-watcher")
    topic = "iotflow/devices/one/commands/config"
    assert watcher.may_subscribe(topic)
    for secret in ("first", "second"):
        assert fleet.api("PUT", "devices/one/config", administrator, {"owner": secret})[0] == 200
        until(lambda secret=secret: watcher.messages and secret in str(watcher.messages[-1][1]), "the configuration")
        assert fleet.api("DELETE", "devices/one", administrator)[0] == 200
        until(lambda: not watcher.messages[-1][1], "the empty message that clears the topic")
        fleet.add("one", "--again")


def test_a_refused_login_under_the_name_of_another_device_costs_that_device_nothing(fleet: Fleet, connect: Callable[..., Client]) -> None:
    """Its messages are taken as before."""
    keys = {name: fleet.add(name) for name in ("one", "two")}
    until(lambda: connect("two", keys["two"], "two:first").is_in, "the new device at the broker")
    client = connect("two", keys["two"])

    assert not connect("one", keys["one"], "two").is_in
    client.publish("iotflow/devices/two/telemetry/temperature", '{"temperature":42}')

    (value,) = fleet.measured("two", keys["two"], 1)
    assert value["value"] == 42
