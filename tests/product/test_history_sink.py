"""The history holds exactly what an independent reader finds in a recording, whatever happened on the way."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from disks import fill
from gateways import START, START_MS, Gateway, assert_balanced
from iiot_gateway._native import HistoryReader
from recordings import Expected, expect, generated
from servers import Mosquitto, until

pytestmark = pytest.mark.slow

ALWAYS = 2**63 - 1


def stored(path: Path) -> dict[str, list[tuple[int, str]]]:
    """Return every point of the file by topic: milliseconds since 1970 and text."""
    reader = HistoryReader(str(path))
    points: dict[str, list[tuple[int, str]]] = {}
    for series in reader.series():
        times, texts = reader.texts(series["id"], -ALWAYS, ALWAYS, limit=10_000_000)
        assert len(times) == series["points"]
        assert not any(time % 1_000_000 for time in times)
        points[series["topic"]] = [(time // 1_000_000, text) for time, text in zip(times, texts, strict=True)]
    reader.close()
    return points


def wanted(expected: Expected) -> dict[str, list[tuple[int, str]]]:
    """Return the same out of the recording."""
    times = {topic: [START_MS + ms for ms in expected.points(topic)] for topic in expected.topics()}
    return {f"iiot/{topic}": list(zip(times[topic], expected.values(topic), strict=True)) for topic in expected.topics()}


def made(folder: Path, packets: int) -> Path:
    """Write a generated log."""
    path = folder / "generated.log"
    path.write_bytes(generated(packets))
    return path


def replay(recording: Path, takes_s: float = 0) -> tuple[str, ...]:
    """Return the arguments that play a recording within a time, or as fast as can be."""
    speed = str(expect(recording).documents[-1][0] / 1000 / takes_s) if takes_s else "max"
    return ("replay", str(recording), "--start", START, "--speed", speed, "--once")


def test_a_replay_is_stored_text_for_text(gateway: Gateway, recording: Path, expected: Expected) -> None:
    """Every value of every topic with its time, and the last ones; playing it again adds nothing."""
    gateway.configure("[history]")

    done = gateway.run(*replay(recording))
    assert done.returncode == 0, done.stderr
    first = stored(gateway.folder / "history.db")
    assert gateway.run(*replay(recording), "--from-start").returncode == 0

    assert first == wanted(expected)
    assert stored(gateway.folder / "history.db") == first
    reader = HistoryReader(str(gateway.folder / "history.db"))
    topics = {series["id"]: series["topic"] for series in reader.series()}
    assert {topics[last["id"]]: last["value"] for last in reader.last()} == {topic: points[-1][1] for topic, points in first.items()}
    status = gateway.status()
    assert_balanced(status)
    assert status["sinks"]["history"]["delivered"] == status["intake"]["accepted"]


def test_a_killed_gateway_neither_loses_nor_doubles_a_point(gateway: Gateway, tmp_path: Path) -> None:
    """SIGKILL again and again while points are stored; then points, roll-ups and ledger are those of the recording."""
    recording = made(tmp_path, 40_000)
    expected = expect(recording)
    gateway.configure("[history]\ncommit_interval_ms = 0")
    delivered = 0
    # So slow that something is left to store after the last kill.
    slowly = replay(recording, takes_s=60)

    for _ in range(3):
        gateway.start(*slowly)
        at = delivered

        def more(status: dict[str, Any], at: int = at) -> bool:
            return bool(status["sinks"]["history"]["delivered"] > at)

        delivered = gateway.until(more, "some frames stored")["sinks"]["history"]["delivered"]
        gateway.kill9()
    assert delivered < expected.accepted, "it was killed too late"
    done = gateway.run(*replay(recording))

    assert done.returncode == 0, done.stderr
    path = gateway.folder / "history.db"
    assert stored(path) == wanted(expected)
    status = gateway.status()
    assert_balanced(status)
    assert status["sinks"]["history"]["delivered"] == expected.accepted
    reader = HistoryReader(str(path))
    for series in reader.series():
        topic = series["topic"].removeprefix("iiot/")
        for every_s in (60, 3600, 86400):
            counts: dict[int, float] = {}
            for ms in expected.points(topic):
                bucket = (START_MS + ms) // (every_s * 1000) * every_s * 1_000_000_000
                counts[bucket] = counts.get(bucket, 0) + 1
            times, values = reader.range(series["id"], 0, ALWAYS, every_ns=every_s * 1_000_000_000, agg="count")
            assert dict(zip(times, values, strict=True)) == counts


def from_the_future(path: Path) -> None:
    """Write a history of a later version."""
    with sqlite3.connect(path) as db:
        db.executescript("CREATE TABLE series(id); PRAGMA application_id=0x69696f68; PRAGMA user_version=9;")
    db.close()


def overwritten(path: Path) -> None:
    """Write what is no SQLite file."""
    path.write_bytes(b"\xff" * 20_000)


@pytest.mark.parametrize(("spoil", "kind"), [(from_the_future, "unknown_version"), (overwritten, "damaged")])
def test_a_history_that_cannot_be_used_stops_nothing_else(
    gateway: Gateway, mosquitto: Mosquitto, recording: Path, expected: Expected, spoil: Callable[[Path], None], kind: str
) -> None:
    """It is left as it is; MQTT gets everything; once the file is moved away the history gets everything too."""
    path = gateway.folder / "history.db"
    spoil(path)
    before = path.read_bytes()
    gateway.configure(f'[history]\n[mqtt]\nbroker_url = "{mosquitto.url}"\n')

    gateway.start(*replay(recording))
    status = gateway.until(
        # Between two attempts; during an attempt the sink is connecting.
        lambda s: s["sinks"]["mqtt"]["delivered"] == expected.accepted and s["sinks"]["history"]["state"] == "disconnected",
        "everything at the broker, and nothing in the history",
    )

    sink = status["sinks"]["history"]
    assert (sink["delivered"], sink["queued"]) == (0, expected.accepted)
    assert sink["last_error"].startswith(f"{kind}: history {path}: ")
    assert path.read_bytes() == before
    until(lambda: "sink_unavailable" in gateway.log(), "the failure in the log")
    path.unlink()
    assert gateway.wait() == 0
    assert stored(path) == wanted(expected)


def test_a_full_disk_stops_nothing_else(
    gateway: Gateway, mosquitto: Mosquitto, small_disk: Path, recording: Path, expected: Expected
) -> None:
    """The history waits and says so, MQTT gets everything; with room again the history gets everything too."""
    filler = small_disk / "filler"
    path = small_disk / "history.db"
    gateway.configure(f'[history]\npath = "{path}"\n[mqtt]\nbroker_url = "{mosquitto.url}"\n')
    fill(filler)

    gateway.start(*replay(recording))
    status = gateway.until(
        lambda s: s["sinks"]["mqtt"]["delivered"] == expected.accepted and s["sinks"]["history"]["last_error"],
        "everything at the broker",
    )
    assert status["sinks"]["history"]["last_error"].startswith("full: ")
    filler.unlink()

    assert gateway.wait() == 0
    assert stored(path) == wanted(expected)


def test_a_disk_that_fills_up_on_the_way_costs_no_point(gateway: Gateway, small_disk: Path, tmp_path: Path) -> None:
    """Some batches are stored, then none; with room again all of them are."""
    recording = made(tmp_path, 20_000)
    expected = expect(recording)
    filler, path = small_disk / "filler", small_disk / "history.db"
    filler.write_bytes(bytes(3_300_000))
    gateway.configure(f'[history]\npath = "{path}"\ncommit_interval_ms = 0')

    gateway.start(*replay(recording))
    gateway.until(lambda s: (s["sinks"]["history"]["last_error"] or "").startswith("full: "), "a full disk")
    filler.unlink()

    assert gateway.wait() == 0
    assert stored(path) == wanted(expected)


def test_a_reader_beside_the_gateway_sees_whole_moments(gateway: Gateway, tmp_path: Path) -> None:
    """While points are stored, what is asked together belongs together: as many points as the roll-ups say."""
    recording = made(tmp_path, 30_000)
    path = gateway.folder / "history.db"
    gateway.configure("[history]\ncommit_interval_ms = 0")
    gateway.start(*replay(recording, takes_s=5))
    until(path.exists, "the file")
    gateway.until(lambda s: s["sinks"]["history"]["delivered"] > 0, "the first batch")

    reader = HistoryReader(str(path))
    asked = 0
    while gateway.process is not None and gateway.process.poll() is None:
        for series in reader.series():
            _, counts = reader.range(series["id"], 0, ALWAYS, every_ns=3600 * 10**9, agg="count")
            assert sum(count or 0 for count in counts) >= series["points"]
            asked += 1

    assert asked
    assert gateway.wait() == 0
