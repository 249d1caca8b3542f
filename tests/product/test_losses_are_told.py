"""What the journal's limits take from a sink is said in the log, to the frame: also in the last seconds of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateways import START, Gateway, assert_balanced
from recordings import generated
from servers import free_port

pytestmark = pytest.mark.slow


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """More frames than a journal of one megabyte holds."""
    path = tmp_path / "generated.log"
    path.write_bytes(generated(20_000))
    return path


def absent() -> str:
    """Configure a database that is not there."""
    return f'[influxdb]\nurl = "http://127.0.0.1:{free_port()}"\norg = "o"\nbucket = "b"\ntoken = "t"\n'


def told(gateway: Gateway) -> list[dict[str, Any]]:
    """Return the events that say that frames were dropped."""
    events = [json.loads(line) for line in gateway.log().splitlines() if line.startswith("{")]
    return [event for event in events if event["event"] == "frames_dropped"]


def play(gateway: Gateway, log: Path, timeout_s: str) -> int:
    """Play the log for some time."""
    gateway.start("replay", str(log), "--start", START, "--speed", "max", "--once", "--timeout", timeout_s)
    return gateway.wait()


def test_frames_that_a_full_journal_drops_are_told_before_the_end(gateway: Gateway, log: Path) -> None:
    """A run that ends before the first look says what it dropped; the next one does not say it again."""
    gateway.configure(absent(), journal_keys="max_bytes = 1048576")

    # Long enough to read it all, also beside others.
    code = play(gateway, log, "10")

    assert code == 4, gateway.log()[-2000:]
    status = gateway.status()
    assert_balanced(status)
    dropped = status["sinks"]["influxdb"]["dropped_reasons"]["journal_full"]
    assert dropped > 0
    events = told(gateway)
    assert sum(event["frames"] for event in events) == dropped
    assert {(event["at"], event["reason"], event["level"]) for event in events} == {("influxdb", "journal_full", "error")}
    assert play(gateway, log, "1") == 4
    assert told(gateway) == events


def test_frames_that_grow_too_old_are_told(gateway: Gateway) -> None:
    """With `max_age_h`, what an absent database did not take in time goes: counted with its reason, and said to the frame."""
    gateway.configure(absent() + "[simulate]\nrate_per_s = 50\n", journal_keys="max_age_h = 0.0005")
    gateway.start("run")

    gateway.until(lambda s: s["sinks"]["influxdb"]["dropped_reasons"]["journal_age"] > 0, "a frame that is too old")

    assert gateway.stop() == 0
    status = gateway.status()
    assert_balanced(status)
    sink = status["sinks"]["influxdb"]
    assert sink["dropped_reasons"] == {"journal_full": 0, "journal_age": sink["dropped"], "sink_away": 0}
    assert sink["queued"] > 0
    events = told(gateway)
    assert sum(event["frames"] for event in events) == sink["dropped"]
    assert {(event["at"], event["reason"], event["level"]) for event in events} == {("influxdb", "journal_age", "error")}
