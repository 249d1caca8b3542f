"""Tell that two clients fight for one MQTT client id. Pure.

A broker ends the older connection when the same id connects again. MQTT 5 says so; 3.1.1 just closes the connection, which
then was short and had been accepted. A few of those in a row are no accident.
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

    def observe(self, kind: str, connected_s: float) -> bool:
        """Take the end of a connection; return whether another client has the same id."""
        if kind == "session_taken_over":
            self._count = self._in_a_row
        elif kind == "lost" and 0 < connected_s < self._short_s:
            self._count += 1
        else:
            # A broker that is away tells nothing about fights, and a long connection ends the suspicion.
            if connected_s >= self._short_s:
                self._count = 0
            return False
        return self._count >= self._in_a_row
