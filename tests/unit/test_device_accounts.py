"""Devices log in at the built-in broker with their keys, reach their own topics only, and are known in the journal."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from iiot_gateway._native import Broker, BrokerConsumer, BrokerError, DeviceDirectory, Journal, LineSink, MqttConsumer, Profile
from subscribers import let_go

PROFILE = """
name = "flow"
[[point]]
filter = ["iotflow/devices/{device}/telemetry/{type}", "iotflow/devices/{device}/status/{type}"]
measurement = "{type}"
tags = { device_id = "{device}" }
fields = { v = "number" }
"""
ROOT = "iotflow/devices"
WAIT_S = 10.0


def key(text: str, expires_at_s: float | None = None) -> tuple[bytes, float | None]:
    """Return a key as the directory wants it."""
    return hashlib.sha256(text.encode()).digest(), expires_at_s


class Client:
    """An MQTT 5 client that notes what it is answered."""

    def __init__(
        self, port: int, client_id: str, user: str, password: str, *, will: str = "", version: Any = MQTTProtocolVersion.MQTTv5
    ) -> None:
        self.refused: str | None = None
        self.messages: list[tuple[str, bytes, bool]] = []
        self._changed = threading.Condition()
        self._answers: dict[int, Any] = {}
        self.is_gone = False
        self.is_connected = False
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=version, reconnect_on_failure=False)
        self._client.username_pw_set(user, password)
        if will:
            self._client.will_set(will, b'{"v":0}', qos=1, retain=True)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self.wait(lambda: self.is_connected or self.refused is not None or self.is_gone)
        if not self.is_connected:
            self.refused = self.refused or "without a word that paho tells"

    def wait(self, condition: Callable[[], object]) -> None:
        """Wait until something holds."""
        with self._changed:
            assert self._changed.wait_for(condition, WAIT_S)

    def _tell(self, change: Callable[[], object]) -> None:
        with self._changed:
            change()
            self._changed.notify_all()

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._tell(lambda: setattr(self, "refused", str(reason)) if reason.is_failure else setattr(self, "is_connected", True))

    def _on_disconnect(self, *_: Any) -> None:
        self._tell(lambda: setattr(self, "is_gone", True))

    def _on_publish(self, _client: Any, _data: Any, mid: int, reason: Any, _properties: Any) -> None:
        self._tell(lambda: self._answers.update({mid: reason}))

    def _on_subscribe(self, _client: Any, _data: Any, mid: int, reasons: Any, _properties: Any) -> None:
        self._tell(lambda: self._answers.update({mid: reasons[0]}))

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        self._tell(lambda: self.messages.append((message.topic, message.payload, bool(message.retain))))

    def publish(self, topic: str, payload: bytes = b'{"v":1}', *, qos: int = 1, retain: bool = False) -> bool:
        """Publish; whether it was allowed."""
        mid = self._client.publish(topic, payload, qos=qos, retain=retain).mid
        self.wait(lambda: mid in self._answers)
        return not self._answers[mid].is_failure

    def subscribe(self, pattern: str) -> bool:
        """Subscribe; whether it was allowed."""
        _, mid = self._client.subscribe(pattern, qos=1)
        assert mid is not None
        self.wait(lambda: mid in self._answers)
        return not self._answers[mid].is_failure

    def drop(self) -> None:
        """End the connection without a word, so that the will is published."""
        sock = self._client.socket()
        assert sock is not None
        sock.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        """Disconnect."""
        properties = Properties(PacketTypes.DISCONNECT)
        self._client.disconnect(properties=properties if self._client.protocol == MQTTProtocolVersion.MQTTv5 else None)
        let_go(self._client)


class Site:
    """A broker with a consumer, and two devices."""

    def __init__(self, folder: Path, *, unknown: Any = "reject") -> None:
        self.devices = DeviceDirectory(unknown=unknown)
        self.devices.set("e1", user_name="oven", tags={"device_id": "e1", "device_name": "Oven"}, keys=[key("one")])
        self.devices.set("e2", tags={"device_id": "e2"}, keys=[key("two")])
        self.journal = Journal.open(str(folder / "journal.db"), max_bytes=8 << 20)
        self.journal.add_sink("lines")
        self.profile = Profile.parse(PROFILE)
        consumer = BrokerConsumer(
            self.journal, "mqtt", profile=self.profile, topic_prefix="", tags={}, filters=[f"{ROOT}/#"], devices=self.devices
        )
        self.broker = Broker.start(
            "127.0.0.1:0",
            path=str(folder / "broker.db"),
            own_clients=["gateway"],
            consumers=[consumer],
            username="admin",
            password="all",  # noqa: S106 of a test
            devices=self.devices,
        )
        self.clients: list[Client] = []

    def client(self, client_id: str, user: str, password: str, **more: Any) -> Client:
        """Connect a client."""
        client = Client(self.broker.port, client_id, user, password, **more)
        self.clients.append(client)
        return client

    def lines(self) -> list[str]:
        """Return the lines of everything that was accepted, without times."""
        assert self.journal.sync(WAIT_S)
        batch = LineSink(self.journal, "lines").next_batch(max_lines=1000, max_bytes=1 << 20, linger_ms=0, timeout_ms=10_000)
        return [line.rpartition(" ")[0] for line in batch.text().decode().splitlines()] if batch else []

    def rejects(self) -> dict[str, int]:
        """Return how many rejects there are of each reason."""
        assert self.journal.sync(WAIT_S)
        reasons: dict[str, int] = self.journal.status()["intake"]["reject_reasons"]
        return reasons


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Return a site."""
    site = Site(tmp_path)
    yield site
    for client in site.clients:
        client.stop()
    site.broker.stop(WAIT_S)


@pytest.mark.parametrize("version", [MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5])
def test_a_device_logs_in_with_its_key_only(site: Site, version: Any) -> None:
    """Its id and its user name are good, another's key is not, nor is any other client id."""
    for user, password, client_id, is_let_in in [
        ("e1", "one", "e1", True),
        ("oven", "one", "e1:kitchen", True),
        ("e1", "two", "e1", False),
        ("e1", "", "e1", False),
        ("e1", "ONE", "e1", False),
        ("e3", "one", "e3", False),
        ("admin", "one", "x", False),
        ("e1", "one", "e2", False),
        ("e1", "one", "e2:e1", False),
        ("e1", "one", "gateway", False),
        ("e1", "one", "", False),
        ("admin", "all", "e1", False),
        ("admin", "all", "e2:x", False),
        ("admin", "all", "x", True),
        ("admin", "all", "gateway", True),
    ]:
        client = site.client(client_id, user, password, version=version)
        assert (client.refused is None) == is_let_in, (user, password, client_id, client.refused)


def test_a_device_reaches_its_own_topics_only(site: Site) -> None:
    """Foreign topics, wildcards and shares are refused, retained messages too; the broker's own user may do everything."""
    admin, device = site.client("x", "admin", "all"), site.client("e1", "e1", "one")
    assert admin.subscribe("#")
    for topic, may in [
        (f"{ROOT}/e1/telemetry/t", True),
        (f"{ROOT}/e1/status/online", True),
        (f"{ROOT}/e1/commands/config", False),
        (f"{ROOT}/e2/telemetry/t", False),
        (f"{ROOT}/e1", False),
        ("iiot/gateway/health", False),
    ]:
        assert device.publish(topic) == may, topic
        assert device.publish(topic, retain=True, qos=2) == may, topic
    for pattern, may in [
        (f"{ROOT}/e1/commands/#", True),
        (f"{ROOT}/e1/commands/config", True),
        (f"$share/g/{ROOT}/e1/commands/#", True),
        (f"{ROOT}/+/commands/#", False),
        (f"{ROOT}/e2/commands/#", False),
        (f"$share/g/{ROOT}/e2/commands/#", False),
        (f"{ROOT}/e1/#", False),
        ("#", False),
        ("+/+/+/+/+", False),
    ]:
        assert device.subscribe(pattern) == may, pattern
    assert admin.publish(f"{ROOT}/e1/commands/config", b"on")
    device.wait(lambda: (f"{ROOT}/e1/commands/config", b"on", False) in device.messages)
    admin.wait(lambda: len(admin.messages) == 5)
    assert {topic for topic, _, _ in admin.messages} == {f"{ROOT}/e1/telemetry/t", f"{ROOT}/e1/status/online", f"{ROOT}/e1/commands/config"}
    assert site.client("e2", "e2", "two").refused is None
    assert not device.is_gone


def test_a_will_is_bound_by_the_same_rights(site: Site) -> None:
    """One for another's topic is refused with the connection; one's own is published, retained."""
    admin = site.client("x", "admin", "all")
    assert admin.subscribe("#")
    for topic in (f"{ROOT}/e2/status/offline", f"{ROOT}/e1/commands/config", "x"):
        assert site.client("e1", "e1", "one", will=topic).refused is not None
    site.client("e1", "e1", "one", will=f"{ROOT}/e1/status/offline").drop()
    admin.wait(lambda: [(f"{ROOT}/e1/status/offline", b'{"v":0}')] == [message[:2] for message in admin.messages])


def test_a_connection_ends_with_its_key(site: Site) -> None:
    """A rotation lets both keys in until the old one is taken away; removal and disabling end everything; other devices go on."""
    first, other = site.client("e1", "e1", "one"), site.client("e2", "e2", "two")
    site.devices.set("e1", tags={}, keys=[key("one"), key("new")])
    second = site.client("e1:2", "e1", "new")
    assert first.publish(f"{ROOT}/e1/telemetry/t")
    site.devices.set("e1", tags={}, keys=[key("new"), key("soon", time.time() - 1)])
    first.wait(lambda: first.is_gone)
    assert site.client("e1", "e1", "one").refused is not None
    assert site.client("e1", "e1", "soon").refused is not None
    assert second.publish(f"{ROOT}/e1/telemetry/t")
    site.devices.set("e1", is_enabled=False, tags={}, keys=[key("new")])
    second.wait(lambda: second.is_gone)
    assert site.client("e1", "e1", "new").refused is not None
    site.devices.set("e1", tags={}, keys=[key("new")])
    third = site.client("e1", "e1", "new")
    site.devices.remove("e1")
    third.wait(lambda: third.is_gone)
    assert other.publish(f"{ROOT}/e2/telemetry/t")
    assert not other.is_gone


def test_an_expired_key_publishes_nothing(site: Site) -> None:
    """The connection that it opened may last a little, but nothing is taken of it."""
    end_s = time.time() + 1.0
    site.devices.set("e1", tags={}, keys=[key("one", end_s)])
    client = site.client("e1", "e1", "one")
    assert client.refused is None
    while time.time() < end_s:
        time.sleep(end_s - time.time())
    assert not client.publish(f"{ROOT}/e1/telemetry/t")


def test_frames_have_the_tags_of_their_device(site: Site) -> None:
    """Those of when they came. The devices that were heard are told once."""
    device = site.client("e1", "e1", "one")
    device.publish(f"{ROOT}/e1/telemetry/t")
    site.devices.set("e1", tags={"device_id": "e1", "device_name": "Stove"}, keys=[key("one")])
    device.publish(f"{ROOT}/e1/telemetry/t", b'{"v":2}')
    assert site.lines() == ["t,device_id=e1,device_name=Oven v=1", "t,device_id=e1,device_name=Stove v=2"]
    ((heard, at_ns),) = site.devices.heard()
    assert heard == "e1"
    assert 0 <= time.time_ns() - at_ns < 60e9
    assert site.devices.heard() == []


def test_documents_of_other_devices_are_rejects(site: Site) -> None:
    """They are kept, and can be offered again when the device is registered or enabled."""
    admin = site.client("x", "admin", "all")
    site.devices.set("e2", is_enabled=False, tags={"device_id": "e2", "room": "2"}, keys=[key("two")])
    assert admin.publish(f"{ROOT}/e2/telemetry/t")
    assert admin.publish(f"{ROOT}/e3/telemetry/t", b'{"v":3}')
    assert site.rejects() == {"device_disabled": 1, "unknown_device": 1}
    assert {reject["reason"]: reject["topic"] for reject in site.journal.rejects()} == {
        "device_disabled": f"{ROOT}/e2/telemetry/t",
        "unknown_device": f"{ROOT}/e3/telemetry/t",
    }
    assert site.devices.heard() == []
    sources = {"mqtt": (site.profile, 3600.0)}
    assert site.journal.retry_rejects(sources, devices=site.devices)["still_rejected"] == 2
    site.devices.set("e2", tags={"device_id": "e2", "room": "2"}, keys=[])
    site.devices.set("e3", tags={"device_id": "e3", "room": "3"}, keys=[])
    assert site.journal.retry_rejects(sources, devices=site.devices)["accepted"] == 2
    assert sorted(site.lines()) == ["t,device_id=e2,room=2 v=1", "t,device_id=e3,room=3 v=3"]


def test_documents_of_other_devices_can_be_taken(tmp_path: Path) -> None:
    """They have the tags of the profile alone then."""
    site = Site(tmp_path, unknown="take")
    admin = site.client("x", "admin", "all")
    assert admin.publish(f"{ROOT}/e3/telemetry/t")
    assert site.lines() == ["t,device_id=e3 v=1"]
    admin.stop()
    site.broker.stop(WAIT_S)


def test_a_consumer_of_another_broker_knows_devices_too(site: Site, tmp_path: Path) -> None:
    """It looks at the same directory, whoever let the device in."""
    journal = Journal.open(str(tmp_path / "other.db"), max_bytes=8 << 20)
    journal.add_sink("lines")
    consumer = MqttConsumer(
        journal,
        "other",
        profile=site.profile,
        topic_prefix="",
        tags={},
        broker_url=f"mqtt://127.0.0.1:{site.broker.port}",
        client_id="other",
        subscriptions=[(f"{ROOT}/#", 1)],
        username="admin",
        password="all",  # noqa: S106 of a test
        devices=site.devices,
    )
    running = threading.Thread(target=consumer.run_connection)
    running.start()
    until_s = time.monotonic() + WAIT_S
    while consumer.state()["state"] != "subscribed":
        assert time.monotonic() < until_s
        time.sleep(0.01)
    admin = site.client("x", "admin", "all")
    assert admin.publish(f"{ROOT}/e1/telemetry/t")
    assert admin.publish(f"{ROOT}/e9/telemetry/t")
    while consumer.state()["messages"] < 2:
        assert time.monotonic() < until_s
        time.sleep(0.01)
    consumer.stop(WAIT_S)
    running.join()
    assert journal.sync(WAIT_S)
    intake = journal.status()["intake"]
    assert (intake["accepted"], intake["reject_reasons"]) == (1, {"unknown_device": 1})
    batch = LineSink(journal, "lines").next_batch(max_lines=10, max_bytes=1 << 20, linger_ms=0, timeout_ms=10_000)
    assert batch is not None
    assert batch.text().startswith(b"t,device_id=e1,device_name=Oven v=1 ")


def test_devices_need_a_broker_that_is_closed_to_others(tmp_path: Path) -> None:
    """Without a user name everybody would be let in, and could publish for every device."""
    with pytest.raises(BrokerError, match="user name"):
        Broker.start("127.0.0.1:0", path=str(tmp_path / "broker.db"), devices=DeviceDirectory())


def test_a_directory_refuses_what_is_no_hash() -> None:
    """A key in place of its hash is an error."""
    with pytest.raises(ValueError, match="32 bytes"):
        DeviceDirectory().set("e1", tags={}, keys=[(b"one", None)])
    with pytest.raises(ValueError, match="expected"):
        DeviceDirectory(unknown="maybe")  # type: ignore[arg-type]
