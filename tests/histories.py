"""A history file with many points, stored by the sink."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from iiot_gateway import _native


def store(journal: _native.Journal, path: Path, points: int) -> None:
    """Store temperatures of node1, a millisecond apart from 1970 on."""
    profile = _native.Profile.parse((files("iiot_gateway") / "profiles" / "lora-bridge.toml").read_text())
    journal.add_sink("history")
    sink = _native.HistorySink(journal, "history")
    sink.open(str(path))
    intake = journal.add_source("test", profile=profile, topic_prefix="iiot", tags={})
    for first in range(0, points, 100):
        documents = (b'{"ts":%d,"n1":{"t":%d}}\n' % (n, n % 7) for n in range(first, min(first + 100, points)))
        intake.push(b"".join(documents), first * 10**6)
    assert journal.sync(10)
    frames = 0
    while frames < points:
        done = sink.deliver(max_points=50_000, linger_ms=0, timeout_ms=5_000)
        assert done is not None
        frames += done["frames"]
    sink.close()
