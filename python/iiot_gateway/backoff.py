"""Computes how long to wait before the next attempt. Pure: it has no clock and does not sleep."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Doubling delays with jitter between a first delay and a ceiling.

    After an attempt that stayed healthy for `healthy_s`, the delays begin again with the first one. Jitter takes up to half of the
    delay away, so that many gateways that lost one broker do not all come back at the same time. No delay is below the first one.
    """

    def __init__(
        self,
        *,
        first_s: float = 1.0,
        ceiling_s: float = 60.0,
        healthy_s: float = 60.0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._first_s = first_s
        self._ceiling_s = ceiling_s
        self._healthy_s = healthy_s
        self._jitter = jitter
        self._attempt = 0

    def next_delay_s(self, healthy_for_s: float = 0.0) -> float:
        """Return the delay before the next attempt, in seconds. `healthy_s` is how long the last attempt was healthy."""
        if healthy_for_s >= self._healthy_s:
            self.reset()
        # Above 2**16 the ceiling applies anyway; this bound keeps the power finite.
        delay_s = min(self._ceiling_s, self._first_s * 2.0 ** min(self._attempt, 16))
        self._attempt += 1
        return max(self._first_s, delay_s * (1.0 - 0.5 * self._jitter()))

    def longest(self) -> float:
        """Return a delay near the ceiling, in seconds; later delays stay there until a reset."""
        self._attempt = max(self._attempt, 16)
        return self.next_delay_s()

    def reset(self) -> None:
        """Begin with the first delay again."""
        self._attempt = 0
