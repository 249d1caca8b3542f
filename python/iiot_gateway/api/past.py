"""Past values: series and ranges from the history. Blocking; call from a worker thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from iiot_gateway.api.parameters import MAX_MS, choice, refuse_unknown, whole
from iiot_gateway.api.problem import Problem
from iiot_gateway.errors import HistoryUnusable
from iiot_gateway.pipeline.views import AGGREGATES, History, Views

MAX_POINTS = 10_000
DEFAULT_POINTS = 600
TIMEOUT_S = 5.0
"""The longest time for a query. If no roll-up fits its width, every point is read, which keeps a thread busy."""
NS = 1_000_000
NO_HISTORY = Problem(404, "no_history", "no history is kept", "add a [history] section to the configuration and start the gateway again")
STATUS_OF = {"missing": 404, "invalid": 400, "damaged": 500, "unknown_version": 500, "io": 500}
REMEDIES = {
    "missing": "it is created with the first points",
    "busy": "ask again",
    "closed": "the gateway is stopping",
    "timeout": "ask for a shorter range, or an every_ms that is a whole number of minutes",
}
STEPS_MS = tuple(s * 1000 for s in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400))


def series(views: Views) -> dict[str, Any]:
    """Return every stored series."""
    return {"series": [_series(entry) for entry in _with_history(views, lambda history: history.series())]}


def points(views: Views, query: Mapping[str, str]) -> dict[str, Any]:
    """Return a range of a series, reduced to a number of points that can be drawn. Raises Problem."""
    refuse_unknown(query, ("id", "start_ms", "end_ms", "every_ms", "agg"))
    number = whole(query, "id", low=0, high=2**63 - 1)
    start_ms = whole(query, "start_ms", low=-MAX_MS, high=MAX_MS)
    end_ms = whole(query, "end_ms", low=-MAX_MS, high=MAX_MS)
    if end_ms <= start_ms:
        raise Problem(400, "parameter_invalid", "end_ms is not behind start_ms", "times are milliseconds since 1970, UTC")
    every_ms = whole(query, "every_ms", low=0, high=MAX_MS, default=step_for(end_ms - start_ms))
    agg = choice(query, "agg", AGGREGATES)
    if every_ms and (end_ms - start_ms) / every_ms > MAX_POINTS:
        raise _too_many(f"this range has {(end_ms - start_ms) // every_ms:,} steps of {every_ms} ms")

    def read(history: History) -> tuple[list[int], list[float | None]]:
        if not any(entry["id"] == number for entry in history.series()):
            raise Problem(404, "unknown_series", f"there is no series {number}", "/api/v1/series lists those that are stored")
        return history.range(number, start_ms * NS, end_ms * NS, every_ns=every_ms * NS, agg=agg, limit=MAX_POINTS + 1, timeout_s=TIMEOUT_S)

    times, values = _with_history(views, read)
    if len(times) > MAX_POINTS:
        raise _too_many("this range has more points")
    return {"id": number, "agg": agg, "every_ms": every_ms, "times_ms": [time // NS for time in times], "values": values}


def step_for(range_ms: int) -> int:
    """Return the step that gives about DEFAULT_POINTS points, in whole seconds, minutes, hours or days."""
    wanted = range_ms / DEFAULT_POINTS
    for step in STEPS_MS:
        if step >= wanted:
            return step
    return -(-int(wanted) // STEPS_MS[-1]) * STEPS_MS[-1]


def _too_many(message: str) -> Problem:
    return Problem(400, "too_many_points", f"{message}; at most {MAX_POINTS:,} are given at once", "ask for less, or a larger every_ms")


def _series(entry: dict[str, Any]) -> dict[str, Any]:
    kept = {key: entry[key] for key in ("id", "topic", "measurement", "tags", "field", "points")}
    return {**kept, "first_ms": entry["first_ns"] // NS, "last_ms": entry["last_ns"] // NS}


def _with_history(views: Views, read: Callable[[History], Any]) -> Any:
    """Query the history. Raises Problem, with a different status for each kind of error."""
    if views.open_history is None:
        raise NO_HISTORY
    try:
        with views.open_history() as history:
            return read(history)
    except ValueError as error:
        raise Problem(400, "parameter_invalid", str(error)) from error
    except HistoryUnusable as error:
        raise Problem(STATUS_OF.get(error.kind, 503), f"history_{error.kind}", str(error), REMEDIES.get(error.kind, "")) from error
