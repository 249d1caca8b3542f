"""The verdict: one sentence that says whether data flows, and where it stops, for a person who has never seen a status document.

{"state": "flowing" | "waiting" | "held" | "stopped", "text": "...",
 "stops": [{"kind": "source" | "journal" | "sink", "name": "...", "text": "..."}]}

flowing  frames come in, and every sink gets them
waiting  nothing is wrong, but no frame has come for a while
held     frames come in and are kept in the journal, but a sink does not take them, or one of several sources gives none
stopped  no frames come in
"""

from __future__ import annotations

from typing import Any

QUIET_S = 300.0
"""A running source counts as quiet after this time without data. Whether the silence is a fault is decided by the source's own limit."""
LAG_S = 30.0
SETTLING_S = 10.0
"""A sink that has been connecting for a shorter time is not reported."""

STARTING = ("starting", "connecting", "refreshing")


def verdict(document: dict[str, Any], now_s: float) -> dict[str, Any]:
    """Return the verdict on a status document. `now_s` is Unix time."""
    sources, sinks = document["source"], {name: sink for name, sink in document["sinks"].items() if sink["state"] != "removed"}
    silent = {name: text for name, source in sources.items() if (text := _of_source(name, source))}
    stops = [{"kind": "source", "name": name, "text": text} for name, text in silent.items()]
    stalled = document["journal"].get("stalled")
    if stalled:
        stops.append({"kind": "journal", "name": "journal", "text": f"The journal takes nothing: {stalled}."})
    behind = {name: text for name, sink in sinks.items() if (text := _of_sink(name, sink, now_s))}
    stops += [{"kind": "sink", "name": name, "text": f"{text} {_kept(sinks[name], document['journal'])}"} for name, text in behind.items()]

    if not sources:
        return {"state": "stopped", "text": "No source is configured: add one to the configuration, [serial] for example.", "stops": stops}
    if stalled or len(silent) == len(sources):
        return {
            "state": "stopped",
            "text": next(s["text"] for s in stops if s["kind"] == ("journal" if stalled else "source")),
            "stops": stops,
        }
    if behind:
        return {"state": "held", "text": next(s["text"] for s in stops if s["kind"] == "sink"), "stops": stops}
    if silent:
        return {"state": "held", "text": stops[0]["text"], "stops": stops}
    if quiet := " ".join(_quiet(sources, now_s)):
        return {"state": "waiting", "text": quiet, "stops": stops}
    where = f"reach {' and '.join(sinks)}" if sinks else "stay in the journal; no sink is configured"
    return {"state": "flowing", "text": f"Frames come from {' and '.join(sources)} and {where}.", "stops": stops}


def _of_source(name: str, source: dict[str, Any]) -> str:
    if source["state"] in ("running", "subscribed", "listening", "starting", "connecting", "finished"):
        return ""
    detail = f": {source['detail']}" if source["detail"] else f" ({source['state']})"
    return f"{name} gives nothing{detail}."


def _of_sink(name: str, sink: dict[str, Any], now_s: float) -> str:
    if sink["state"] in STARTING and now_s - sink.get("since", 0.0) < SETTLING_S:
        return ""
    if sink["state"] != "connected":
        return f"{name} takes nothing: {sink['last_error'] or sink['state']}."
    oldest_ms = sink.get("oldest_queued_at_ms")
    if oldest_ms is not None and now_s - oldest_ms / 1000 > LAG_S:
        return f"{name} is {_duration(now_s - oldest_ms / 1000)} behind."
    return ""


def _kept(sink: dict[str, Any], journal: dict[str, Any]) -> str:
    queued = sink.get("queued", 0)
    hours = journal.get("hours_left")
    room = f"; at the present rate there is room for {_duration(hours * 3600)}" if hours is not None else ""
    return f"{queued:,} frames wait for it in the journal{room}." if queued else "Frames that come will wait for it in the journal."


def _quiet(sources: dict[str, Any], now_s: float) -> list[str]:
    """Return one sentence per source if none of them has given data lately, otherwise an empty list."""
    sentences = [_of_quiet(name, source, now_s) for name, source in sources.items()]
    return sentences if all(sentences) else []


def _of_quiet(name: str, source: dict[str, Any], now_s: float) -> str:
    last = source["last_document_at"]
    if source["state"] == "finished":
        return f"{name} was played to its end."
    if last is None:
        return f"{name} {'starts' if source['state'] == 'starting' else 'runs'}; no telemetry has come yet."
    return f"{name} runs; no telemetry has come for {_duration(now_s - last)}." if now_s - last > QUIET_S else ""


def _duration(seconds: float) -> str:
    for limit, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 2 * limit:
            return f"{seconds / limit:,.0f} {unit}s"
    return f"{seconds:.0f} seconds"
