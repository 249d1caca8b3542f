"""The local history as an archive of the values of devices."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from iiot_gateway import __version__
from iiot_gateway.api.problem import Problem
from iiot_gateway.device_api.archive import Question, Value
from iiot_gateway.errors import HistoryUnusable

if TYPE_CHECKING:
    from iiot_gateway._native import HistoryReader

CHUNK = 10_000


class HistoryArchive:
    """Reads the history's file."""

    name = "history"

    def __init__(self, open_history: Callable[[], AbstractContextManager[HistoryReader]]) -> None:
        self._open = open_history

    def values(self, question: Question) -> list[Value]:
        """Return values by time, the newest `limit` of them. Raises Problem."""
        # Only the newest values are kept, because a span may hold more than fits into memory.
        found: list[Value] = []
        with self._reading() as history:
            for series in _of_device(history, question.device_id, question.measurement):
                if series["last_ns"] < question.start_ns or series["first_ns"] >= question.stop_ns:
                    continue
                points = _points(history, series["id"], question)
                found += [_value(series, time_ns, value) for time_ns, value in points]
                found.sort(key=lambda value: value.time_ns)
                del found[: -question.limit]
        return found

    def latest(self, device_id: str, measurement: str | None) -> list[Value]:
        """Return the newest value per field. Raises Problem."""
        with self._reading() as history:
            series = {each["id"]: each for each in _of_device(history, device_id, measurement)}
            return [_value(series[last["id"]], last["time_ns"], last["typed"]) for last in history.last(list(series))]

    def version(self) -> str:
        """Return the gateway's version, because the gateway itself keeps the history."""
        with self._reading():
            return __version__

    @contextmanager
    def _reading(self) -> Iterator[HistoryReader]:
        try:
            with self._open() as history:
                yield history
        except HistoryUnusable as error:
            raise _problem(error) from error


def _problem(error: HistoryUnusable) -> Problem:
    return Problem(
        503,
        f"history_{error.kind}",
        str(error),
        "it is created with the first points" if error.kind == "missing" else "",
        {"retry-after": "5"},
    )


def _of_device(history: HistoryReader, device_id: str, measurement: str | None) -> list[dict[str, Any]]:
    return [
        series
        for series in history.series()
        if series["tags"].get("device_id") == device_id and (measurement is None or series["measurement"] == measurement)
    ]


def _points(history: HistoryReader, number: int, question: Question) -> Iterable[tuple[int, Any]]:
    """Return the newest points of a span."""
    found: deque[tuple[int, Any]] = deque(maxlen=question.limit)
    start_ns = question.start_ns
    while True:
        times, values = history.values(number, start_ns, question.stop_ns, limit=CHUNK)
        found += zip(times, values, strict=True)
        if len(times) < CHUNK:
            return found
        start_ns = times[-1] + 1


def _value(series: dict[str, Any], time_ns: int, value: Any) -> Value:
    return Value(time_ns=time_ns, measurement=series["measurement"], field=series["field"], value=value, tags=series["tags"])
