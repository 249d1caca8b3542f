"""Lines whose posting shows whether a database takes lines: such as it took before, else the newest ones, else others of a batch.

What came last is good more often than what waited longest: a database with a retention refuses everything that is too old for it. Writing a
line again overwrites it, so asking costs nothing but the request.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from iiot_gateway.sinks.outages import MOST
from iiot_gateway.sinks.outlet import Batch
from iiot_gateway.sinks.plan import SCOUTS, Range, newest_first


class Canaries:
    """The lines that the database accepted last: at all, and of each measurement."""

    def __init__(self) -> None:
        self._last: bytes | None = None
        self._of: dict[bytes, bytes] = {}
        """By measurement, the one taken last at the end."""

    def take(self, batch: Batch, part: Range) -> None:
        """Take note that a part of a batch is in."""
        self._last = batch.line(part.last)
        # Where lines were left out, one of them might be the last of its measurement.
        for name, line in batch.last_lines(first=part.first, end=part.end).items() if not part.without else ():
            self.take_line(name, line)

    def take_line(self, measurement: bytes | None, line: bytes) -> None:
        """Take note of a single line; of a measurement that the caller need not know."""
        self._last = line
        if measurement is not None:
            self._of.pop(measurement, None)
            self._of[measurement] = line
            if len(self._of) > MOST:
                del self._of[next(iter(self._of))]

    def of_any(self, newest: Batch | None, batch: Batch, scouts: Sequence[int]) -> list[bytes]:
        """Return lines of any measurement to try, in this order; `scouts` are those of the batch itself."""
        lines = [self._last] if self._last is not None else []
        if newest is not None:
            lines += [newest.line(index) for index in newest_first(newest.lines)]
        return lines + [batch.line(index) for index in scouts]

    def of(self, measurement: bytes, newest: Batch | None, batch: Batch, behind: int) -> list[bytes]:
        """Return lines of one measurement to try; those of the batch stand behind the line in question."""
        lines = [self._of[measurement]] if measurement in self._of else []
        if newest is not None:
            lines += _all_over(measurement, newest, 0)
        return lines + _all_over(measurement, batch, behind)


def _all_over(measurement: bytes, batch: Batch, first: int) -> list[bytes]:
    """Return a few lines of a measurement, from a line on, the last one first."""
    step = max(1, math.ceil((batch.lines - first) / SCOUTS))
    pieces = (batch.last_lines(first=max(first, end - step), end=end) for end in range(batch.lines, first, -step))
    return [piece[measurement] for piece in pieces if measurement in piece]
