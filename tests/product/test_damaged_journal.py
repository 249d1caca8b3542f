"""Bytes of the journal change on the disk: the gateway says which frames, and what to do, and overwrites nothing."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateways import START, Gateway, assert_balanced
from recordings import generated
from servers import Mosquitto, VictoriaMetrics

pytestmark = pytest.mark.slow


@pytest.fixture
def waiting(gateway: Gateway, mosquitto: Mosquitto, victoria_metrics: VictoriaMetrics, tmp_path: Path) -> Gateway:
    """A stopped gateway with several rows of frames in its journal, whose broker and database went away."""
    mosquitto.stop()
    victoria_metrics.stop()
    gateway.configure(
        f'[mqtt]\nbroker_url = "mqtt://127.0.0.1:{mosquitto.port}"\n[influxdb]\nurl = "{victoria_metrics.url}"\norg = "o"\nbucket = "b"\n'
    )
    log = tmp_path / "generated.log"
    log.write_bytes(generated(3_000))
    gateway.start("replay", str(log), "--start", START, "--speed", "max", "--once", "--timeout", "2")
    assert gateway.wait() == 4
    return gateway


def second_row(gateway: Gateway) -> tuple[int, int]:
    """Return the first and the last frame of the journal's second row."""
    with closing(sqlite3.connect(gateway.journal)) as db:
        rows: list[tuple[int, int]] = db.execute("SELECT first, first + count - 1 FROM frames ORDER BY first LIMIT 3").fetchall()
    assert len(rows) == 3, "several rows are needed"
    return rows[1]


def damage(gateway: Gateway, first: int) -> None:
    """Change a row as a failing disk would: its body is not what its checksum says."""
    with closing(sqlite3.connect(gateway.journal, timeout=10)) as db, db:
        db.execute("UPDATE frames SET crc = (crc + 1) % 4294967296 WHERE first = ?", [first])


def events(gateway: Gateway) -> list[dict[str, Any]]:
    """Return what the gateway logged; every line is one event."""
    return [json.loads(line) for line in gateway.log().splitlines()]


def test_a_damaged_row_is_told_of_at_the_start(waiting: Gateway) -> None:
    """The gateway does not start; the error names frames and remedy in one line, and every byte stays as it is."""
    first, last = second_row(waiting)
    damage(waiting, first)
    before = waiting.journal.read_bytes()

    done = waiting.run("run")

    assert done.returncode == 1
    *_, line = done.stderr.splitlines()
    assert "Traceback" not in done.stderr
    assert f"frames {first} to {last} fail their checksum" in line
    assert "nothing was changed: move it and its -wal file away" in line
    assert waiting.journal.read_bytes() == before


def test_a_row_that_is_damaged_later_is_told_of_by_each_sink(
    waiting: Gateway, mosquitto: Mosquitto, victoria_metrics: VictoriaMetrics
) -> None:
    """The database has what stands before it; both sinks name frames and remedy in one line, without a traceback."""
    first, last = second_row(waiting)
    said_before = len(events(waiting))
    waiting.start("run")
    waiting.until(lambda s: s["sinks"]["influxdb"]["state"] == "disconnected", "a database that is not there")
    damage(waiting, first)
    mosquitto.start()
    victoria_metrics.start()

    def is_at_the_damage(status: dict[str, Any]) -> bool:
        states = {status["sinks"][name]["state"] for name in ("mqtt", "influxdb")}
        return states == {"journal_unavailable"} and status["sinks"]["influxdb"]["delivered"] == first - 1

    status = waiting.until(is_at_the_damage, "sinks that have what stands before the damage")
    assert_balanced(status)
    assert waiting.stop() == 0
    for sink in ("mqtt", "influxdb"):
        said = [e for e in events(waiting)[said_before:] if e.get("sink") == sink and e.get("kind") == "journal_unavailable"]
        assert {(e["event"], e["level"], e["error"].split(",")[0]) for e in said} == {
            ("sink_unavailable", "error", f"frames {first} to {last} fail their checksum")
        }
        assert all("stop the gateway, move the journal and its -wal file away" in e["error"] for e in said)
    assert "Traceback" not in waiting.log()
