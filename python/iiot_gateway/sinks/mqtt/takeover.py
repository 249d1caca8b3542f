"""Detects that two clients fight for one MQTT client id. Pure.

A broker ends the older connection when a client with the same id connects. With MQTT 5 the broker says so, which is a proof. With MQTT
3.1.1 it only closes the connection, and so does a broker that restarts. There the proof is several connections in a row that worked,
were short, and were ended by a broker that answered right afterwards: so the broker did not restart. Anything less is "perhaps".
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
        """Whether a fight is likely, but not proven."""
        return self._short > 1 and self._count < self._in_a_row

    def asks(self, kind: str, connected_s: float) -> bool:
        """Return whether, after such an end, the caller must find out if the broker answers."""
        return kind == "lost" and 0 < connected_s < self._short_s

    def observe(self, kind: str, connected_s: float, *, broker_stayed: bool) -> bool:
        """Note the end of a connection. Return whether another client has the same id."""
        self._short = self._short + 1 if self.asks(kind, connected_s) else 0
        if kind == "session_taken_over":
            self._count = self._in_a_row
        elif self.asks(kind, connected_s) and broker_stayed:
            self._count += 1
        else:
            # An unavailable broker points to a restart. A long connection and any other kind of end also remove the suspicion.
            self._count = 0
        return self._count >= self._in_a_row
