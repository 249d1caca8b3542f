"""Broker, database, disk and the gateway itself fail while a recording is played: nothing is lost and nothing doubled."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from http_gate import HttpGate
from test_replayed_recording import assert_counts, exported, sinks

from disks import fill
from gateways import START, START_MS, Gateway, assert_balanced
from recordings import Expected, expect, generated
from servers import Mosquitto, VictoriaMetrics, until
from subscribers import Subscriber, retained

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("IIOT_TEST_KILLS", "50"))


@pytest.fixture
def gate(victoria_metrics: VictoriaMetrics) -> Iterator[HttpGate]:
    """A gate in front of the database."""
    gate = HttpGate(victoria_metrics.port)
    yield gate
    gate.close()


def assert_all_there(gateway: Gateway, broker: Mosquitto, database: VictoriaMetrics, expected: Expected) -> None:
    """Ledger, database and retained topics agree with the independent reader."""
    assert_counts(gateway.status(), expected)
    for topic in expected.topics():
        assert exported(database, topic) == {START_MS + ms: value for ms, value in expected.points(topic).items()}, topic
    kept = {f"iiot/{topic}": expected.values(topic)[-1] for topic in expected.topics() if topic.startswith("node")}
    found = retained(broker.port, expect=set(kept))
    assert {topic: value for topic, value in found.items() if "/gateway/" not in topic} == kept


def test_fifty_kills_lose_and_double_nothing(
    gateway: Gateway, mosquitto: Mosquitto, victoria_metrics: VictoriaMetrics, subscribe: Callable[..., Subscriber], tmp_path: Path
) -> None:
    """SIGKILL at random moments, each time started again: the ledger balances every time, and in the end all is there."""
    log = tmp_path / "played.log"
    log.write_bytes(generated(20_000, seed=3))
    expected = expect(log)
    gateway.configure(sinks(mosquitto, victoria_metrics.url))
    subscriber = subscribe(mosquitto)
    # Played in about 40 s, so that most kills fall into the middle of it.
    span_s = expected.documents[-1][0] / 1000
    arguments = ("replay", str(log), "--start", START, "--speed", str(span_s / 40), "--once")
    rng = random.Random(7)

    for _ in range(KILLS):
        process = gateway.start(*arguments)
        try:
            process.wait(rng.uniform(0.3, 1.6))
        except subprocess.TimeoutExpired:
            gateway.kill9()
        assert_balanced(gateway.status())
    gateway.start("replay", str(log), "--start", START, "--speed", "max", "--once")
    code = gateway.wait()

    assert code == 0, gateway.log()[-3000:]
    assert_all_there(gateway, mosquitto, victoria_metrics, expected)
    subscriber.catch_up()
    for topic in expected.topics():
        assert in_order_with_repeats(subscriber.values(f"iiot/{topic}"), expected.values(topic)), topic


def test_broker_database_and_gateway_fail_together(
    gateway: Gateway,
    launch: Callable[..., Mosquitto],
    victoria_metrics: VictoriaMetrics,
    gate: HttpGate,
    recording: Path,
    expected: Expected,
) -> None:
    """The broker is killed and restarted empty five times, the database is away, then busy, the gateway is killed now and then."""
    broker = launch(Mosquitto)
    gateway.configure(sinks(broker, gate.url) + "batch_lines = 500\nbatch_interval_ms = 50\n")
    span_s = expected.documents[-1][0] / 1000
    # So slow that there is something left to lose in the last step.
    arguments = ("replay", str(recording), "--start", START, "--speed", str(span_s / 180), "--once")
    gateway.start(*arguments)

    for step in range(5):
        seen = gateway.until(lambda s: s["sinks"]["mqtt"]["delivered"] > 0, "a delivery")["sinks"]["mqtt"]["delivered"]
        broker.kill9()
        if step == 1:
            gate.close()
        if step == 2:
            gateway.until(lambda s: s["sinks"]["influxdb"]["state"] == "disconnected", "the absence of the database")
            gate.reopen()
            gate.failed.clear()
            gate.answer = (503, {"Retry-After": "1"}, b"busy")
        if step == 3:
            assert gate.failed.wait(30), "no request met the busy database"
            gate.answer = None
        if step in (1, 3):
            gateway.kill9()
            assert_balanced(gateway.status())
            gateway.start(*arguments)
        gateway.until(lambda s: s["sinks"]["mqtt"]["state"] not in ("connected", "refreshing"), "the end of the connection")
        broker.start()
        if gateway.ask()["sinks"]["mqtt"]["queued"]:
            gateway.until(lambda s, seen=seen: s["sinks"]["mqtt"]["delivered"] > seen, "deliveries after the restart")
        assert_balanced(gateway.ask())
    gateway.kill9()
    gateway.start("replay", str(recording), "--start", START, "--speed", "max", "--once")
    code = gateway.wait()

    assert code == 0, gateway.log()[-3000:]
    assert_all_there(gateway, broker, victoria_metrics, expected)


def test_everything_fails_at_once(
    gateway: Gateway,
    launch: Callable[..., Mosquitto],
    victoria_metrics: VictoriaMetrics,
    gate: HttpGate,
    small_disk: Path,
    recording: Path,
    expected: Expected,
) -> None:
    """Fifty kills, and meanwhile a broker that comes back empty five times, a database that is gone, then busy, and a full disk."""
    broker = launch(Mosquitto)
    gateway.configure(sinks(broker, gate.url) + "batch_lines = 500\nbatch_interval_ms = 50\n", journal=small_disk / "journal.db")
    span_s = expected.documents[-1][0] / 1000
    # So slow that there is something left to lose until the last kill.
    arguments = ("replay", str(recording), "--start", START, "--speed", str(span_s / 90), "--once")
    rng = random.Random(11)
    filler = small_disk / "filler"
    tenth = KILLS // 10
    happens: dict[int, Callable[[], object]] = {
        **{turn * 2 * tenth + tenth: broker.kill9 for turn in range(5)},
        **{turn * 2 * tenth + 2 * tenth - 1: broker.start for turn in range(5)},
        # While the database takes nothing the journal has to grow, which a full disk does not let it.
        1: lambda: setattr(gate, "answer", (503, {"Retry-After": "1"}, b"busy")),
        tenth + 1: lambda: fill(filler),
        2 * tenth + 1: filler.unlink,
        2 * tenth + 2: lambda: setattr(gate, "answer", None),
        6 * tenth + 1: gate.close,
        7 * tenth + 1: gate.reopen,
    }

    hurried = ("replay", str(recording), "--start", START, "--speed", "max", "--once")
    for turn in range(KILLS):
        is_filled = turn == tenth + 1
        process = gateway.start(*(hurried if is_filled else arguments))
        happens.get(turn, int)()
        if is_filled:
            until(lambda: "journal_stalled" in gateway.log(), "the full disk in the log")
        try:
            process.wait(rng.uniform(0.3, 1.6))
        except subprocess.TimeoutExpired:
            gateway.kill9()
        assert_balanced(gateway.status())
    gateway.start(*hurried)
    code = gateway.wait()

    assert code == 0, gateway.log()[-3000:]
    assert_all_there(gateway, broker, victoria_metrics, expected)
    for event in ("503 busy", "Connection refused"):
        assert event in gateway.log(), f"{event} did not happen, so nothing was shown"


def test_a_full_disk_pauses_the_replay_and_loses_nothing(
    gateway: Gateway,
    mosquitto: Mosquitto,
    victoria_metrics: VictoriaMetrics,
    gate: HttpGate,
    small_disk: Path,
    recording: Path,
    expected: Expected,
) -> None:
    """While the journal's disk is full nothing new is accepted; with room again everything is, once."""
    gateway.configure(sinks(mosquitto, gate.url), journal=small_disk / "journal.db")
    gate.answer = (503, {}, b"busy")  # so that the journal keeps what it gets
    span_s = expected.documents[-1][0] / 1000
    gateway.start("replay", str(recording), "--start", START, "--speed", str(span_s / 20), "--once")
    gateway.until(lambda s: s["intake"]["accepted"] > 100, "some frames")
    filler = small_disk / "filler"
    fill(filler)

    stalled = gateway.until(lambda s: s["journal"]["stalled"], "the full disk in the status")
    assert_balanced(stalled)
    until(lambda: "journal_stalled" in gateway.log(), "the full disk in the log")
    filler.unlink()
    gate.answer = None
    code = gateway.wait()

    assert code == 0, gateway.log()[-3000:]
    assert_all_there(gateway, mosquitto, victoria_metrics, expected)


def in_order_with_repeats(seen: list[str], wanted: list[str]) -> bool:
    """Every value was seen; after each kill the sending may begin again somewhere before, and goes on in order."""
    # Positions that the last value seen may have; a value either follows one of them or begins again at one not beyond the furthest.
    furthest = -1
    places: set[int] = {-1}
    where: dict[str, list[int]] = {}
    for at, value in enumerate(wanted):
        where.setdefault(value, []).append(at)
    for value in seen:
        candidates = where.get(value, [])
        next_places = {at + 1 for at in places if at + 1 < len(wanted) and wanted[at + 1] == value}
        if not next_places:
            next_places = {at for at in candidates if at <= furthest + 1}
        if not next_places:
            return False
        places = next_places
        furthest = max(furthest, *places)
    return furthest == len(wanted) - 1
