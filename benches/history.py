"""History: a journal full of frames into the file, then questions to it; every answer is compared with the packets that went in.

A packet a second, nine values each. The clock runs over reading the journal, decoding, storing with roll-ups, syncing and confirming.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from documents import METRICS, log_line
from figures import Report, number, spread
from iiot_gateway import _native

SECOND_NS = 1_000_000_000
DAY_S = 86_400
START_NS = 1_703_721_600 * SECOND_NS
"""A whole day: 2023-12-28T00:00:00Z."""
PACKETS = 13 * DAY_S
"""Ten million points."""
SHORT_PACKETS = 3 * DAY_S
BATCH_POINTS = 50_000
ROUNDS = 15


def chunks(packets: int) -> Iterator[str]:
    """Give the log in pieces; the same each time."""
    rng = random.Random(1)
    for first in range(0, packets, 10_000):
        yield "".join(log_line(rng, packet, 1000) for packet in range(first, min(first + 10_000, packets)))


def fill(folder: Path, packets: int) -> _native.Journal:
    """Return a journal that holds all packets, with a sink that has none yet."""
    journal = _native.Journal.open(str(folder / "journal.db"), max_bytes=1 << 30, sync="normal")
    journal.add_sink("history")
    profile = _native.Profile.parse((files("iiot_gateway") / "profiles" / "lora-bridge.toml").read_text())
    intake = journal.add_recording(
        "bench", fingerprint="bench", arguments="", start_ns=START_NS, profile=profile, topic_prefix="iiot", tags={}, dedup_window_s=0
    )
    for chunk in chunks(packets):
        while not intake.wait_room(60):
            pass
        intake.push(chunk.encode(), time.time_ns())
    intake.finish(time.time_ns())
    assert journal.sync(60)
    return journal


def store(journal: _native.Journal, path: Path, points: int) -> float:
    """Return points per second."""
    sink = _native.HistorySink(journal, "history")
    sink.open(str(path))
    began_s, stored = time.monotonic(), 0
    while stored < points:
        done = sink.deliver(max_points=BATCH_POINTS, linger_ms=0, timeout_ms=10_000)
        assert done is not None
        stored += done["inserted"]
    took_s = time.monotonic() - began_s
    sink.close()
    ledger = journal.status()["sinks"]["history"]
    assert ledger["delivered"] * METRICS == ledger["accepted"] * METRICS == stored == points
    return points / took_s


def temperatures(packets: int) -> list[float]:
    """Return what the first node measured, a second apart."""
    texts = (line[line.index("{") : line.rindex("}") + 1] for chunk in chunks(packets) for line in chunk.splitlines())
    return [json.loads(text)["n1"]["t"] for text in texts]


def ask(reader: _native.HistoryReader, series: int, days: int, every_s: int) -> tuple[list[float], list[list[float | None]]]:
    """Return how long a day took in milliseconds, the days in turn, and the last answers."""
    took_ms, answers = [], []
    for turn in range(ROUNDS):
        start_ns = START_NS + turn % days * DAY_S * SECOND_NS
        began_s = time.monotonic()
        times, values = reader.range(series, start_ns, start_ns + DAY_S * SECOND_NS, every_ns=every_s * SECOND_NS)
        took_ms.append((time.monotonic() - began_s) * 1000)
        assert len(times) == DAY_S // every_s
        answers.append(values)
    return took_ms, answers


def run(report: Report, folder: Path, *, short: bool) -> None:
    """Fill, store, ask. The short form has fewer days."""
    packets = SHORT_PACKETS if short else PACKETS
    points, days = packets * METRICS, packets // DAY_S
    journal = fill(folder, packets)
    path = folder / "history.db"
    report.add("history_points_per_s", store(journal, path, points), f"{points:,} points, {METRICS} series, journal on the same disk")
    journal.close()
    reader = _native.HistoryReader(str(path))
    known = reader.series()
    assert sum(series["points"] for series in known) == points
    series = next(s["id"] for s in known if s["topic"] == "iiot/node1/temperature")
    took_ms, answers = ask(reader, series, days, 60)
    measured = temperatures(DAY_S)
    means = [statistics.fmean(measured[at : at + 60]) for at in range(0, DAY_S, 60)]
    assert all(abs((found or 0) - mean) < 1e-9 for found, mean in zip(answers[0], means, strict=True))
    report.add("history_day_ms", statistics.median(took_ms), f"1,440 minutes of {DAY_S:,} points among {points:,}; {spread(took_ms)}")
    took_ms, _ = ask(reader, series, days, 50)
    report.add("history_day_without_rollups_ms", statistics.median(took_ms), f"buckets of 50 s, which no roll-up fits; {spread(took_ms)}")
    reader.close()
    used = path.stat().st_size
    text = sum(len(chunk) for chunk in chunks(10_000)) / 10_000 / METRICS
    report.add("history_bytes_per_point", used / points, f"{used / 1e6:.1f} MB with roll-ups; as log text {number(text)}")
