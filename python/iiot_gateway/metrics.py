"""Every metric of the gateway, and the status document as Prometheus text.

Names are iiot_<noun>_<unit>[_total]. Counters are the ledger's: they come from the journal and go on over a restart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Sample = tuple[dict[str, str], float]

INTAKE_FRAMES = "iiot_intake_frames_total"
INTAKE_REJECTS = "iiot_intake_rejects_total"
INTAKE_RATE = "iiot_intake_rate_frames_per_second"
SINK_FRAMES = "iiot_sink_frames_total"
SINK_QUEUED = "iiot_sink_queued_frames"
SINK_CONNECTED = "iiot_sink_connected"
SINK_RECONNECTS = "iiot_sink_reconnects_total"
JOURNAL_BYTES = "iiot_journal_bytes"
JOURNAL_FRAMES = "iiot_journal_frames"
JOURNAL_HOURS_LEFT = "iiot_journal_hours_left"
SOURCE_BYTES = "iiot_source_bytes_total"
SOURCE_DOCUMENTS = "iiot_source_documents_total"
SOURCE_RESTARTS = "iiot_source_restarts_total"
SOURCE_RUNNING = "iiot_source_running"
SOURCE_LAST_DOCUMENT = "iiot_source_last_document_timestamp_seconds"
GATEWAY_INFO = "iiot_gateway_info"
GATEWAY_UPTIME = "iiot_gateway_uptime_seconds"

METRICS: dict[str, tuple[str, str]] = {
    INTAKE_FRAMES: (
        "counter",
        "Frames at intake, by what was done with them; received = accepted + duplicate + rejected.",
    ),
    INTAKE_REJECTS: ("counter", "Frames rejected at intake, by reason."),
    INTAKE_RATE: ("gauge", "Frames received a second over the last minute."),
    SINK_FRAMES: ("counter", "Frames of a sink by what became of them."),
    SINK_QUEUED: ("gauge", "Frames in the journal that the sink has not passed: its lag."),
    SINK_CONNECTED: ("gauge", "1 while the sink delivers."),
    SINK_RECONNECTS: ("counter", "Connections or outages that ended since the start."),
    JOURNAL_BYTES: ("gauge", "Size of the journal on the disk."),
    JOURNAL_FRAMES: ("gauge", "Frames in the journal."),
    JOURNAL_HOURS_LEFT: ("gauge", "How long the free room holds at the present rate."),
    SOURCE_BYTES: ("counter", "Bytes read since the start."),
    SOURCE_DOCUMENTS: ("counter", "Documents seen since the start, good or damaged."),
    SOURCE_RESTARTS: ("counter", "Times that the source began anew since the start."),
    SOURCE_RUNNING: ("gauge", "1 while the source gives bytes; the state is a label."),
    SOURCE_LAST_DOCUMENT: ("gauge", "When the last document came."),
    GATEWAY_INFO: ("gauge", "1; the version is a label."),
    GATEWAY_UPTIME: ("gauge", "Seconds since the start."),
}

_INTAKE = ("received", "accepted", "duplicate", "rejected", "lost_on_air", "lost_journal_unavailable")
_OUTCOMES = ("accepted", "delivered", "rejected", "dropped", "superseded")


def render(document: dict[str, Any]) -> str:
    """Return the status document in Prometheus' text format."""
    samples: dict[str, list[Sample]] = {}
    for name, labels, value in _samples(document):
        samples.setdefault(name, []).append((labels, value))
    lines: list[str] = []
    for name, (kind, help_text) in METRICS.items():
        if name in samples:
            lines += [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]
            lines += [f"{name}{_labels(labels)} {value!r}" for labels, value in samples[name]]
    return "\n".join(lines) + "\n"


def _samples(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, str], float]]:  # noqa: C901, PLR0912 - one branch a metric
    for outcome in _INTAKE:
        if outcome in document["intake"]:
            yield INTAKE_FRAMES, {"outcome": outcome}, document["intake"][outcome]
    for reason, value in document["intake"].get("reject_reasons", {}).items():
        yield INTAKE_REJECTS, {"reason": reason}, value
    for name, sink in document["sinks"].items():
        for outcome in _OUTCOMES:
            if outcome in sink:
                yield SINK_FRAMES, {"sink": name, "outcome": outcome}, sink[outcome]
        yield SINK_QUEUED, {"sink": name}, sink.get("queued", 0)
        yield SINK_CONNECTED, {"sink": name}, int(sink["state"] == "connected")
        if "reconnects" in sink:
            yield SINK_RECONNECTS, {"sink": name}, sink["reconnects"]
    journal = document["journal"]
    for metric, key in ((JOURNAL_BYTES, "bytes"), (JOURNAL_FRAMES, "frames"), (JOURNAL_HOURS_LEFT, "hours_left")):
        if journal.get(key) is not None:
            yield metric, {}, journal[key]
    for name, source in document["source"].items():
        for metric, key in ((SOURCE_BYTES, "bytes"), (SOURCE_DOCUMENTS, "documents"), (SOURCE_RESTARTS, "restarts")):
            yield metric, {"source": name}, source[key]
        yield SOURCE_RUNNING, {"source": name, "state": source["state"]}, int(source["state"] == "running")
        if source["last_document_at"] is not None:
            yield SOURCE_LAST_DOCUMENT, {"source": name}, source["last_document_at"]
    gateway = document["gateway"]
    if gateway:
        yield GATEWAY_INFO, {"version": gateway["version"]}, 1
        yield GATEWAY_UPTIME, {}, gateway["uptime_s"]
        yield INTAKE_RATE, {}, gateway["frames_per_s"]


def _labels(labels: dict[str, str]) -> str:
    def escaped(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return "{" + ",".join(f'{key}="{escaped(value)}"' for key, value in labels.items()) + "}" if labels else ""
