"""The MQTT consumer against real brokers: each message is in the database exactly once, whatever is killed in between."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest

from artemis import Artemis
from gateways import Gateway
from servers import Mosquitto, VictoriaMetrics, until
from subscribers import let_go

pytestmark = pytest.mark.slow

PERSISTENT = "autosave_interval 1800\n"
TOPIC = "factory/dosing/consumption"
DEVICES = 4
SOAK = tuple(int(os.environ.get(f"IIOT_SOAK_{name}", short)) for name, short in (("MESSAGES", 12_000), ("KILLS", 8), ("RESTARTS", 2)))
"""Messages, kills of the gateway, clean restarts of the broker."""
WINDOW = 200
"""Messages under way at once."""
WAIT_S = 120.0 * SOAK[0] / 12_000


@pytest.fixture
def broker(launch: Callable[..., Mosquitto]) -> Mosquitto:
    """A broker that keeps sessions over a clean restart."""
    return launch(PersistentMosquitto)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway in a folder of its own."""
    gateway = Gateway(tmp_path / "gateway")
    yield gateway
    gateway.end()


class PersistentMosquitto(Mosquitto):
    """Mosquitto that stores sessions when it ends."""

    redelivery = "marked"

    def command(self, program: str) -> list[str]:
        """Write the configuration and return the command line."""
        command = super().command(program)
        file = self.folder / "mosquitto.conf"
        text = file.read_text().replace("persistence false", f"persistence true\npersistence_location {self.folder}/\n{PERSISTENT}")
        file.write_text(text)
        return [argument for argument in command if argument != "-v"]


Broker = PersistentMosquitto | Artemis


class Publisher:
    """Publishes numbered doses, and waits for each acknowledgement over restarts of the broker.

    The window is kept here: paho forgets its own while it is not connected, and then sends at once whatever waits. With a hundred
    thousand messages of QoS 2 under way Mosquitto needs minutes, because it looks through all of them for each.
    """

    def __init__(self, port: int, qos: int) -> None:
        self.qos = qos
        self.room = threading.Semaphore(WINDOW)
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="plant", clean_session=False)
        self.client.reconnect_delay_set(1, 1)
        self.client.max_inflight_messages_set(WINDOW)
        self.client.max_queued_messages_set(0)
        self.client.on_publish = lambda *_: self.room.release()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def send(self, payload: str, topic: str = TOPIC, *, retain: bool = False) -> paho.MQTTMessageInfo:
        """Publish a message, once there is room in the window."""
        assert self.room.acquire(timeout=WAIT_S), "the broker acknowledges nothing"
        info = self.client.publish(topic, payload, qos=self.qos, retain=retain)
        if info.rc == paho.MQTT_ERR_NO_CONN:
            # It goes out with the next connection; left so, it would raise when it is waited for.
            info.rc = paho.MQTT_ERR_SUCCESS
        return info

    def close(self) -> None:
        """Disconnect."""
        self.client.disconnect()
        let_go(self.client)


def dose(number: int, *, second: int | None = None) -> str:
    """Return a dose; without a second it has no time."""
    document: dict[str, Any] = {"device_id": f"d{number % DEVICES}", "pump": 1, "actual_g": number}
    if second is not None:
        document["timestamp"] = second
    return json.dumps(document)


def configure(gateway: Gateway, broker: Mosquitto | Artemis, database: VictoriaMetrics | None = None, keys: str = "") -> None:
    """Take doses from a broker to a database, or to a history."""
    sink = f'[influxdb]\nurl = "{database.url}"\nbatch_interval_ms = 20\n' if database else "[history]\n"
    consumer = f'[mqtt_consumer]\nbroker_url = "{broker.url}"\ntopics = ["factory/#"]\nprofile = "factory-dosing"\n{keys}\n'
    gateway.configure(consumer + sink)


def intake(gateway: Gateway) -> dict[str, Any]:
    """Return the ledger of the intake; empty while no gateway answers."""
    answer = gateway.run("status", "--json")
    document: dict[str, Any] = json.loads(answer.stdout) if answer.returncode == 0 else {}
    return document.get("intake", {})


def sink_queue(gateway: Gateway) -> int | None:
    """Return how many frames wait for the database."""
    answer = gateway.run("status", "--json")
    return int(json.loads(answer.stdout)["sinks"]["influxdb"]["queued"]) if answer.returncode == 0 else None


def until_taken(gateway: Gateway, **counts: int) -> None:
    """Wait until the ledger has these counts."""

    def has() -> bool:
        ledger = intake(gateway)
        return all(ledger.get(name) == count for name, count in counts.items())

    try:
        until(has, f"{counts}", 60.0)
    except TimeoutError as error:
        raise AssertionError(f"{counts}: {intake(gateway)}\n{gateway.log_path.read_text()[-3000:]}") from error


def numbers(database: VictoriaMetrics) -> dict[str, list[int]]:
    """Return the numbers of each device in the order of their times."""
    found: dict[str, list[int]] = {}
    for line in database.export('{__name__="dosing_consumption_actual_g"}').splitlines():
        series = json.loads(line)
        points = sorted(zip(series["timestamps"], series["values"], strict=True))
        assert len({time for time, _ in points}) == len(points)
        found[series["metric"]["device_id"]] = [int(value) for _, value in points]
    return found


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
@pytest.mark.parametrize("kind", [PersistentMosquitto, Artemis])
def test_each_message_is_taken_exactly_once(
    gateway: Gateway, launch: Callable[..., Broker], victoria_metrics: VictoriaMetrics, kind: type[Broker], protocol: str
) -> None:
    """Numbered messages at full speed, kills of the gateway, clean restarts of the broker: each number once, in order per device.

    Artemis sends again under new packet ids and without a mark, and is not restarted: it doubles what publishers send meanwhile.

    Every second message has no time, so that only the delivery tells that it comes again. scripts/soak.sh runs the long form.
    """
    messages, kills, restarts = SOAK
    broker = launch(kind)
    configure(gateway, broker, victoria_metrics, f'protocol = "{protocol}"\nredelivery = "{kind.redelivery}"')
    gateway.start("run")
    until_taken(gateway, received=0)
    until(lambda: "subscribed" in gateway.log_path.read_text(), "the subscription")
    publisher = Publisher(broker.port, qos=2)
    second = int(time.time())
    done = threading.Event()

    def publish() -> None:
        infos = [publisher.send(dose(number, second=second + number // 2_000 if number % 2 else None)) for number in range(messages)]
        for info in infos:
            info.wait_for_publish(WAIT_S)
        done.set()

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        for step in range(kills):
            seen = intake(gateway).get("accepted", 0)
            until(lambda seen=seen: done.is_set() or intake(gateway).get("accepted", 0) > seen, "progress", 60.0)  # type: ignore[misc]
            gateway.kill9()
            if kind is PersistentMosquitto and step % (kills // restarts) == 1:
                broker.restart()
            starts = gateway.log_path.read_text().count("gateway_started")
            gateway.start("run")
        assert done.wait(WAIT_S)
    finally:
        thread.join()
        publisher.close()
    until(lambda: intake(gateway).get("accepted", 0) >= messages, "every message", WAIT_S)
    until(lambda: gateway.log_path.read_text().count("gateway_started") > starts, "the last start")
    until(lambda: sink_queue(gateway) == 0, "every delivery", WAIT_S)
    assert gateway.stop() == 0
    ledger = intake(gateway)
    assert (ledger["accepted"], ledger["received"]) == (messages, messages + ledger["duplicate"])
    found = numbers(victoria_metrics)
    for device in range(DEVICES):
        expected = list(range(device, messages, DEVICES))
        # Artemis sends again in another order.
        assert (found[f"d{device}"] if kind is PersistentMosquitto else sorted(found[f"d{device}"])) == expected


def waiting_bytes(port: int) -> int:
    """Return how many bytes from a port of this machine wait in sockets, because their processes do not read."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(row[4].split(":")[1], 16) for row in rows if int(row[2].split(":")[1], 16) == port)


def test_a_consumer_that_is_killed_still_gets_messages_of_artemis(gateway: Gateway, launch: Callable[..., Artemis]) -> None:
    """Artemis never forgets what was on its way when a connection ended, and counts it against the receive maximum of the session."""
    broker = launch(Artemis)
    most, count = 5, 20
    configure(gateway, broker, keys=f'protocol = "5"\nredelivery = "{broker.redelivery}"\nreceive_maximum = {most}')
    gateway.start("run")
    until(lambda: "subscribed" in gateway.log_path.read_text(), "the subscription")
    publisher = Publisher(broker.port, qos=1)
    second = int(time.time())
    for kill in range(2):
        assert gateway.process is not None
        gateway.process.send_signal(signal.SIGSTOP)
        doses = [dose(number, second=second + number) for number in range(kill * count, (kill + 1) * count)]
        for payload in doses:
            publisher.send(payload).wait_for_publish(20)
        until(lambda doses=doses: waiting_bytes(broker.port) > most * len(doses[0]), "messages on their way")  # type: ignore[misc]
        gateway.kill9()
        gateway.start("run")
        until_taken(gateway, accepted=(kill + 1) * count)
    publisher.close()


def test_messages_wait_at_the_broker_while_the_gateway_is_away(gateway: Gateway, broker: Mosquitto) -> None:
    """The session is kept, so what is published meanwhile comes at the next start; equal messages without a time are all real."""
    configure(gateway, broker)
    gateway.start("run")
    until(lambda: "subscribed" in gateway.log_path.read_text(), "the subscription")
    assert gateway.stop() == 0
    publisher = Publisher(broker.port, qos=1)
    for _ in range(500):
        publisher.send(dose(7)).wait_for_publish(10)
    publisher.close()
    broker.restart()
    gateway.start("run")
    until_taken(gateway, accepted=500, duplicate=0, rejected=0)


def test_bad_messages_cost_only_themselves(gateway: Gateway, broker: Mosquitto) -> None:
    """Payloads and topics of every bad kind are rejects with their topics; the good ones between them are taken."""
    configure(gateway, broker, keys="max_document_bytes = 1000")
    gateway.start("run")
    until(lambda: "subscribed" in gateway.log_path.read_text(), "the subscription")
    publisher = Publisher(broker.port, qos=1)
    bad = ["nonsense", "", "\x00\xff", "[" * 900, '{"actual_g": 10^400}', "27.6", json.dumps({"pad": "x" * 2_000}), "y" * 10_000_000]
    for number, payload in enumerate(bad):
        publisher.send(payload)
        publisher.send(dose(number))
    publisher.send(dose(99), "factory/unknown").wait_for_publish(20)
    publisher.close()
    until_taken(gateway, accepted=len(bad), rejected=len(bad) + 1)
    rejects = json.loads(gateway.run("rejects", "--json").stdout)
    assert {reject["topic"] for reject in rejects} == {TOPIC, "factory/unknown"}
    reasons = [reject["reason"] for reject in rejects]
    assert reasons.count("too_long") == 2
    assert reasons.count("topic_not_accepted") == 1
    # All of them were acknowledged: none comes again.
    assert gateway.stop() == 0
    gateway.start("run")
    publisher = Publisher(broker.port, qos=1)
    publisher.send(dose(100)).wait_for_publish(20)
    publisher.close()
    until_taken(gateway, accepted=len(bad) + 1, rejected=len(bad) + 1, duplicate=0)


def test_retained_messages_are_skipped_or_taken_once(gateway: Gateway, broker: Mosquitto) -> None:
    """What the broker had kept is skipped at each subscription; with retained = "take" each value is taken once."""
    publisher = Publisher(broker.port, qos=1)
    publisher.send(dose(1), retain=True).wait_for_publish(10)
    configure(gateway, broker)
    gateway.start("run")
    until_taken(gateway, skipped=1, received=0)
    # Published while the subscription stands, it is a message like any other.
    publisher.send(dose(2), retain=True).wait_for_publish(10)
    until_taken(gateway, skipped=1, accepted=1)
    assert gateway.stop() == 0
    configure(gateway, broker, keys='retained = "take"')
    gateway.start("run")
    until_taken(gateway, accepted=2)
    assert gateway.stop() == 0
    gateway.start("run")
    until_taken(gateway, accepted=2, duplicate=1)
    publisher.close()


def test_filters_that_are_given_up_are_unsubscribed(gateway: Gateway, broker: Mosquitto) -> None:
    """A kept session forgets the filters that no longer stand in the configuration."""
    configure(gateway, broker)
    gateway.start("run")
    until(lambda: "subscribed" in gateway.log_path.read_text(), "the subscription")
    assert gateway.stop() == 0
    gateway.config.write_text(gateway.config.read_text().replace('["factory/#"]', '["factory/dosing/#"]'))
    gateway.start("run")
    until(lambda: gateway.log_path.read_text().count('"state": "subscribed"') == 2, "the second subscription")
    publisher = Publisher(broker.port, qos=1)
    # Messages come in the order of the session, so the second shows that the first was not sent.
    publisher.send(dose(1), "factory/equipment/vibration").wait_for_publish(10)
    publisher.send(dose(2)).wait_for_publish(10)
    publisher.close()
    until_taken(gateway, received=1, accepted=1)


def test_a_lost_session_is_told(gateway: Gateway, broker: Mosquitto) -> None:
    """A broker that has forgotten the session is an event, and a count: messages may be missing."""
    configure(gateway, broker)
    gateway.start("run")
    until(lambda: "subscribed" in gateway.log_path.read_text(), "the subscription")
    broker.kill9()
    for file in broker.folder.glob("mosquitto.db*"):
        file.unlink()
    broker.start()
    until(lambda: "source_session_lost" in gateway.log_path.read_text(), "the event", 60.0)
    until_taken(gateway, sessions_lost={"mqtt_consumer": 1})  # type: ignore[arg-type]
    publisher = Publisher(broker.port, qos=1)
    publisher.send(dose(1)).wait_for_publish(10)
    publisher.close()
    until_taken(gateway, accepted=1)


def publish_more_than_fits(gateway: Gateway, broker: Mosquitto, sinks: str, *, max_bytes: int = 2 << 20) -> int:
    """Run a gateway with a small journal and a database that is away, and publish twice what fits; return how many messages."""
    gateway.configure(
        f'[mqtt_consumer]\nbroker_url = "{broker.url}"\ntopics = ["factory/#"]\nprofile = "factory-dosing"\nkeep_alive_s = 4\n'
        f'[influxdb]\nurl = "http://127.0.0.1:1"\n{sinks}',
        journal_keys=f"max_bytes = {max_bytes}",
    )
    gateway.start("run")
    until(lambda: "subscribed" in gateway.log_path.read_text(), "the subscription")
    publisher = Publisher(broker.port, qos=1)
    messages = 2_000
    filler = "x" * (2 * max_bytes // messages)
    infos = [publisher.send(json.dumps({"device_id": "d", "actual_g": n, "filler": filler})) for n in range(messages)]
    for info in infos:
        info.wait_for_publish(60)
    publisher.close()
    return messages


def test_a_sink_that_may_drop_stops_no_consumer(gateway: Gateway, broker: Mosquitto) -> None:
    """What only it lacks goes, and is counted; every other sink gets everything."""
    messages = publish_more_than_fits(gateway, broker, "may_drop = true\n[history]\n", max_bytes=8 << 20)
    until_taken(gateway, accepted=messages)

    def delivered() -> bool:
        sinks = json.loads(gateway.run("status", "--json").stdout)["sinks"]
        away = sinks["influxdb"]
        return bool(sinks["history"]["delivered"] == messages and 0 < away["dropped"] == messages - away["queued"])

    until(delivered, "the history, and a balanced ledger of the sink that is away", 60.0)


def test_a_full_journal_leaves_messages_with_the_broker(gateway: Gateway, broker: Mosquitto) -> None:
    """With a sink that is away, the consumer pauses before the room ends; when the sink comes, everything is delivered."""
    messages = publish_more_than_fits(gateway, broker, "")
    until(lambda: '"state": "paused"' in gateway.log_path.read_text(), "the pause", 60.0)
    ledger = intake(gateway)
    assert 0 < ledger["accepted"] < messages
    assert gateway.stop() == 0
    status = json.loads(gateway.run("status", "--json").stdout)
    assert status["sinks"]["influxdb"]["dropped"] == 0
    gateway.config.write_text(gateway.config.read_text().replace('[influxdb]\nurl = "http://127.0.0.1:1"', "[history]"))
    gateway.start("run")
    # What was accepted when the pause ended the connection comes again, and is a duplicate.
    until_taken(gateway, accepted=messages)


def test_numbers_stay_in_order(gateway: Gateway, broker: Mosquitto, victoria_metrics: VictoriaMetrics) -> None:
    """Messages without a time are in the database in the order in which they came."""
    configure(gateway, broker, victoria_metrics)
    gateway.start("run")
    until(lambda: "subscribed" in gateway.log_path.read_text(), "the subscription")
    publisher = Publisher(broker.port, qos=1)
    infos = [publisher.send(dose(number)) for number in range(2_000)]
    infos[-1].wait_for_publish(30)
    publisher.close()
    until_taken(gateway, accepted=2_000)
    assert gateway.stop() == 0
    for series in numbers(victoria_metrics).values():
        assert all(before < after for before, after in pairwise(series))


def test_messages_are_recorded_and_played_back(gateway: Gateway, broker: Mosquitto) -> None:
    """`record` writes topics and arrival times beside a running gateway; `replay` makes frames of them once, and tells of a torn file."""
    configure(gateway, broker)
    recording = gateway.folder / "plant.rec"
    gateway.start("record", str(recording), "--source", "mqtt_consumer")
    until(lambda: '"state": "running"' in gateway.log_path.read_text(), "the recorder")
    publisher = Publisher(broker.port, qos=1)
    # The recorder has subscribed once it has written something.
    until(lambda: publisher.send(dose(0), "factory/nothing") is not None and recording.stat().st_size > 40, "the first message")
    for number in range(200):
        publisher.send(dose(number, second=int(time.time()))).wait_for_publish(10)
    publisher.send(json.dumps({"device_id": "d", "pumps": 2}), "factory/batch/events").wait_for_publish(10)
    publisher.close()
    until(lambda: b"factory/batch/events" in recording.read_bytes(), "the last message")
    assert gateway.stop() == 0
    text = gateway.config.read_text()
    gateway.config.write_text(text[text.index("[history]") :] + '\n[gateway]\nprofile = "factory-dosing"\n')
    for _ in range(2):
        code = gateway.run("replay", str(recording), "--speed", "max", "--once").returncode
        assert code in (0, 3)
    ledger = intake(gateway)
    assert (ledger["accepted"], ledger["duplicate"]) == (201, 0)
    assert ledger["rejected"] == recording.read_bytes().count(b"factory/nothing")
    torn = gateway.folder / "torn.rec"
    torn.write_bytes(recording.read_bytes()[:-20])
    answer = gateway.run("replay", str(torn), "--speed", "max", "--once", "--from-start")
    assert answer.returncode == 5
    assert "the last message is torn" in answer.stderr
