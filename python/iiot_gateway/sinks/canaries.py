"""Chooses lines that show whether a database accepts lines.

First come lines that the database accepted before, then the newest lines in the journal, then others of the batch.
New lines are more often good than old ones, because a database with a retention refuses lines that are too old. Writing a line again
overwrites it, so a trial costs only the request.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from iiot_gateway.sinks.outages import MOST
from iiot_gateway.sinks.outlet import Batch
from iiot_gateway.sinks.plan import SCOUTS, Range, newest_first


class Canaries:
    """The last line that the database accepted, and the last one of each measurement."""

    def __init__(self) -> None:
        self._last: bytes | None = None
        self._of: dict[bytes, bytes] = {}
        """The line accepted last, by measurement; the newest entry is last."""

    def take(self, batch: Batch, part: Range) -> None:
        """Note that the database has accepted a part of a batch."""
        self._last = batch.line(part.last)
        # If lines were left out, one of them might be the last of its measurement.
        for name, line in batch.last_lines(first=part.first, end=part.end).items() if not part.without else ():
            self.take_line(name, line)

    def take_line(self, measurement: bytes | None, line: bytes) -> None:
        """Note that the database has accepted a single line. `measurement` is None if the caller does not know it."""
        self._last = line
        if measurement is not None:
            self._of.pop(measurement, None)
            self._of[measurement] = line
            if len(self._of) > MOST:
                del self._of[next(iter(self._of))]

    def of_any(self, newest: Batch | None, batch: Batch, scouts: Sequence[int]) -> list[bytes]:
        """Return lines of any measurement, in the order in which to try them. `scouts` are indexes of lines in the batch."""
        lines = [self._last] if self._last is not None else []
        if newest is not None:
            lines += [newest.line(index) for index in newest_first(newest.lines)]
        return lines + [batch.line(index) for index in scouts]

    def of(self, measurement: bytes, newest: Batch | None, batch: Batch, behind: int) -> list[bytes]:
        """Return lines of one measurement to try. Those from the batch have the index `behind` or a later one."""
        lines = [self._of[measurement]] if measurement in self._of else []
        if newest is not None:
            lines += _all_over(measurement, newest, 0)
        return lines + _all_over(measurement, batch, behind)


def _all_over(measurement: bytes, batch: Batch, first: int) -> list[bytes]:
    """Return a few lines of a measurement from the index `first` on, the last line first."""
    step = max(1, math.ceil((batch.lines - first) / SCOUTS))
    pieces = (batch.last_lines(first=max(first, end - step), end=end) for end in range(batch.lines, first, -step))
    return [piece[measurement] for piece in pieces if measurement in piece]
