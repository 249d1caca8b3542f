"""Takes the gateway's own figures, which rules can watch, from its status document. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Figure = tuple[str, list[tuple[str, str]], float]
"""Name, labels and value."""


def figures(document: dict[str, Any], now_s: float) -> Iterator[Figure]:
    """Yield every figure; `now_s` is Unix time."""
    intake_lost = document["intake"].get("lost_journal_unavailable", 0)
    yield "dropped_frames", [("sink", "intake")], float(intake_lost)
    for name, sink in document["sinks"].items():
        if sink["state"] == "removed":
            continue
        labels = [("sink", name)]
        yield "dropped_frames", labels, float(sink.get("dropped", 0))
        oldest_ms = sink.get("oldest_queued_at_ms")
        yield "queue_age_s", labels, 0.0 if oldest_ms is None else max(0.0, round(now_s - oldest_ms / 1000, 1))
    if (hours := document["journal"].get("hours_left")) is not None:
        yield "journal_hours", [], float(hours)
    for name, source in document["source"].items():
        # A source without data since the start may have none to give; its state says more.
        if source["state"] != "finished" and source["last_document_at"] is not None:
            yield "source_silent_s", [("source", name)], max(0.0, round(now_s - source["last_document_at"]))
