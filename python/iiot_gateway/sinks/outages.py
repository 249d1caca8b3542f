"""Finds the lines that may be to blame when a database answers 5xx. Pure: the clock is an argument.

Some versions answer 500 to a single line that they cannot store. But a broken shard also answers 500, to every line of its time range.
So the lines of a measurement become suspects only after the database has answered 5xx to them for a while. The gateway waits once per
measurement and outage, not once per line. After that, a proof alone decides: a line of the same measurement that the database accepts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

OVER_S = 600.0
"""An outage is over when no line of the measurement has met a 5xx for this time."""
MOST = 1000
"""The most measurements that are remembered, because devices may invent names."""


@dataclass(slots=True)
class _Failing:
    """A measurement whose lines met a 5xx."""

    waited_s: float
    last_s: float
    series: int


class Outages:
    """Measures how long the database has answered 5xx to the lines of each measurement."""

    def __init__(self, suspect_after_s: float) -> None:
        self._suspect_after_s = suspect_after_s
        self._over_s = max(OVER_S, suspect_after_s)
        self._failing: dict[bytes, _Failing] = {}
        # Consecutive 5xx answers belong to one series; only the time between two answers of one series counts.
        self._series = 0

    def failed(self, measurements: Iterable[bytes], now_s: float) -> bool:
        """Note a 5xx answer to lines of these measurements. Return whether some of the lines are suspects now."""
        is_suspect = False
        for name in measurements:
            found = self._failing.pop(name, None)
            if found is None or now_s - found.last_s > self._over_s:
                found = _Failing(0.0, now_s, self._series)
            elif found.series == self._series:
                found.waited_s += now_s - found.last_s
            found.last_s, found.series = now_s, self._series
            self._failing[name] = found
            is_suspect = is_suspect or self._was_waited_for(found)
        while len(self._failing) > MOST:
            del self._failing[next(iter(self._failing))]
        return is_suspect

    def interrupted(self) -> None:
        """Note another kind of failure. The time until the next 5xx does not count, because it says nothing about the lines."""
        self._series += 1

    def delivered(self, measurements: Iterable[bytes]) -> None:
        """Note that a batch was delivered.

        Forget measurements that did not fail long enough to be suspects: their failures had another cause.
        """
        for name in measurements:
            found = self._failing.get(name)
            if found is not None and not self._was_waited_for(found):
                del self._failing[name]

    def __bool__(self) -> bool:
        return bool(self._failing)

    def _was_waited_for(self, failing: _Failing) -> bool:
        return failing.waited_s >= self._suspect_after_s
