"""Tell that two clients fight for one MQTT client id. Pure.

A broker ends the older connection when the same id connects again. MQTT 5 says so, and that is proof. 3.1.1 just closes the connection, as
does a broker that is restarted. So the proof is a row of connections that worked, were short, and were ended by a broker that answered
right after it: it was there all the time. Anything less is "perhaps".
"""

from __future__ import annotations

SHORT_S = 10.0
IN_A_ROW = 3


class TakeoverDetector:
    """Counts short connections in a row."""

    def __init__(self, *, short_s: float = SHORT_S, in_a_row: int = IN_A_ROW) -> None:
        self._short_s = short_s
        self._in_a_row = in_a_row
        self._count = 0
        self._short = 0

    @property
    def is_perhaps(self) -> bool:
        """Whether it looks like a fight, without being proven."""
        return self._short > 1 and self._count < self._in_a_row

    def asks(self, kind: str, connected_s: float) -> bool:
        """Return whether it matters for such an end if the broker answers right after it."""
        return kind == "lost" and 0 < connected_s < self._short_s

    def observe(self, kind: str, connected_s: float, *, broker_stayed: bool) -> bool:
        """Take the end of a connection; return whether another client has the same id."""
        self._short = self._short + 1 if self.asks(kind, connected_s) else 0
        if kind == "session_taken_over":
            self._count = self._in_a_row
        elif self.asks(kind, connected_s) and broker_stayed:
            self._count += 1
        else:
            # A broker that is away, or was, tells of restarts; a long connection ends the suspicion, and so does any other end.
            self._count = 0
        return self._count >= self._in_a_row
