"""Chunks into a journal and batches out of it, on a disk, without a server."""

from __future__ import annotations

import itertools
import random
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from documents import METRICS, log_line
from iiot_gateway import _native

pytestmark = pytest.mark.native

PACKETS = 2000


def test_through_the_journal(benchmark: Any, tmp_path: Path) -> None:
    """Every packet that goes in comes out as nine lines, and the ledger says so."""
    profile = _native.Profile.parse((files("iiot_gateway") / "profiles" / "lora-bridge.toml").read_text())
    journal = _native.Journal.open(str(tmp_path / "journal.db"), max_bytes=64 << 20)
    journal.add_sink("database")
    reader = _native.LineSink(journal, "database")
    intake = journal.add_source("bench", profile=profile, topic_prefix="iiot", tags={})
    rng = random.Random(1)
    numbers = itertools.count()

    def chunk() -> tuple[tuple[bytes], dict[str, Any]]:
        return ("".join(log_line(rng, next(numbers)) for _ in range(PACKETS)).encode(),), {}

    def through(text: bytes) -> int:
        assert intake.push(text, time.time_ns()) == PACKETS
        lines = 0
        while lines < PACKETS * METRICS:
            batch = reader.next_batch(max_lines=5000, max_bytes=1 << 23, linger_ms=0, timeout_ms=5000)
            assert batch is not None
            lines += batch.lines
            reader.confirm(batch)
        return lines

    assert benchmark.pedantic(through, setup=chunk, rounds=5) == PACKETS * METRICS

    assert journal.wait_delivered(5.0)
    sink = journal.status()["sinks"]["database"]
    assert sink["accepted"] == sink["delivered"]
    assert sink["accepted"] % PACKETS == 0
    journal.close()
