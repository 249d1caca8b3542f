"""Decides which lines of a batch to send next, until each line is stored or known to be bad. Pure: no socket, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PATIENCE = 8
"""After this many refused lines in a row, the other side must show that it accepts any."""
SCOUTS = 16
GOLDEN = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class Range:
    """The lines first..end of a batch, except those that the other side refused by name."""

    first: int
    end: int
    without: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return self.end - self.first - len(self.without)

    @property
    def last(self) -> int:
        """The index of the last line in the range."""
        return next(index for index in range(self.end - 1, self.first - 1, -1) if index not in self.without)

    def part(self, first: int, end: int) -> Range:
        """Return the part of the range with the lines first..end."""
        return Range(first, end, frozenset(index for index in self.without if first <= index < end))


def newest_first(lines: int) -> range:
    """Return the indexes of a few of `lines` lines, spread over all of them, the last line first."""
    return range(lines - 1, -1, -max(1, lines // SCOUTS))


class Delivery:
    """The plan of one batch.

    Get a range from `next`, send it, and report the result with one of the other methods. The caller does the waiting: `next` returns the
    same range until its result is reported.

    A refused line is only a suspect, because a database at a wrong address refuses everything. The line counts as bad once the database
    has accepted another line after it. If no such line follows, the plan is `in_doubt`. Then the caller must find out whether the
    database accepts good lines, and call `believe` if it does and `doubt` if it accepts none.
    """

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self._open = [Range(0, lines)] if lines else []
        self._suspects: list[tuple[int, str]] = []
        self._patience = PATIENCE
        self._doubted = False
        self.rejects: list[tuple[int, str]] = []

    def next(self) -> Range | None:
        """Return the range to send, or None when the result of every line is known."""
        return self._open[-1] if self._open else None

    def accepted(self) -> None:
        """Note that the database has accepted the range."""
        self._open.pop()
        self._settle()

    def refused(self, why: str, rows: Sequence[tuple[int, str]] = ()) -> None:
        """Note that the range holds a bad line. It is sent again without the lines named in `rows`, or in halves if none is named.

        A line becomes a suspect if it is named or alone in its range. After `doubt`, nothing changes until a line is accepted.
        """
        if self._doubted:
            return
        whole = self._open[-1]
        named = {index: words for index, words in rows if whole.first <= index < whole.end and index not in whole.without}
        if not named and len(whole) == 1:
            named = {whole.last: why}
        if not named:
            self.halve()
            return
        self._open.pop()
        self._suspects += sorted(named.items())
        rest = Range(whole.first, whole.end, whole.without | named.keys())
        if len(rest):
            self._open.append(rest)

    def halve(self) -> bool:
        """Replace the range by its halves. Return False after `doubt`, when nothing is halved."""
        if self._doubted:
            return False
        whole = self._open.pop()
        middle = (whole.first + whole.end) // 2
        # The first half is on top of the stack, so lines are sent in their order.
        halves = (whole.part(middle, whole.end), whole.part(whole.first, middle))
        self._open += [half for half in halves if len(half)]
        return True

    def reject(self, why: str) -> None:
        """Note that the only line of the range is bad, as a proof has shown."""
        self.rejects.append((self._open.pop().last, why))
        # For the proof, the database accepted a line. So the suspects are bad as well.
        self._settle()

    @property
    def in_doubt(self) -> bool:
        """Whether the caller must find out now if the database accepts good lines."""
        return self._doubted or len(self._suspects) >= self._patience or (bool(self._suspects) and not self._open)

    def scouts(self) -> list[int]:
        """Return the indexes of a few lines, spread over the batch, without suspects and rejects. If one is accepted, the doubt ends."""
        spread = range(self._lines) if self._lines <= SCOUTS else (int(self._lines * (n * GOLDEN % 1)) for n in range(SCOUTS))
        tried = {index for index, _why in (*self._suspects, *self.rejects)}
        return sorted(set(spread) - tried)

    def believe(self) -> None:
        """Note that the database accepts good lines, so the suspects are bad."""
        self._settle()
        # A batch in which every line is bad must not cost a proof for every eight lines.
        self._patience *= 2

    def doubt(self) -> None:
        """Note that the database accepts no line. The suspects become ordinary lines again."""
        # Behind a suspect, only rejects are settled, because an accepted line would have settled the suspect.
        first = min(index for index in (*(index for index, _why in self._suspects), *(part.first for part in self._open)))
        self._open = [Range(first, self._lines, frozenset(index for index, _why in self.rejects if index >= first))]
        self._suspects = []
        self._doubted = True

    def _settle(self) -> None:
        self.rejects += self._suspects
        self._suspects = []
        self._doubted = False
