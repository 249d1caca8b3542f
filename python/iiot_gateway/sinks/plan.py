"""Decides which lines of a batch to send next, until each is stored or known to be bad. Pure: no socket, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PATIENCE = 8
"""After this many refused lines in a row, the other side must show that it accepts any."""
SCOUTS = 16
GOLDEN = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class Range:
    """Lines first..end of a batch, but for some that were refused by name."""

    first: int
    end: int
    without: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return self.end - self.first - len(self.without)

    @property
    def last(self) -> int:
        """The last line of it."""
        return next(index for index in range(self.end - 1, self.first - 1, -1) if index not in self.without)

    def part(self, first: int, end: int) -> Range:
        """Return the lines first..end of it."""
        return Range(first, end, frozenset(index for index in self.without if first <= index < end))


def newest_first(lines: int) -> range:
    """Return a few lines of so many, the last one first, as far back as the first."""
    return range(lines - 1, -1, -max(1, lines // SCOUTS))


class Delivery:
    """The plan of one batch.

    Ask `next` for a range, send it, and say with one of the other methods what came of it. Waiting is not its business: a range
    that was not settled is simply given again.

    A refused line is only suspected, because a database whose address is wrong refuses everything. It is believed to be bad once
    the database has taken another line after it. Where none comes by itself, the plan is `in_doubt`: then show that the database
    takes good lines (`believe`), or that it takes none (`doubt`).
    """

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self._open = [Range(0, lines)] if lines else []
        self._suspects: list[tuple[int, str]] = []
        self._patience = PATIENCE
        self._doubted = False
        self.rejects: list[tuple[int, str]] = []

    def next(self) -> Range | None:
        """Return the range to send, None when all is settled."""
        return self._open[-1] if self._open else None

    def accepted(self) -> None:
        """Take note that the range is in."""
        self._open.pop()
        self._settle()

    def refused(self, why: str, rows: Sequence[tuple[int, str]] = ()) -> None:
        """Take note that the range holds a bad line: it comes again without the lines that are named, else in halves.

        A line that is named, or alone in its range, is a suspect. In doubt nothing changes.
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
        """Go on with the halves of the range; False in doubt, when nothing is halved."""
        if self._doubted:
            return False
        whole = self._open.pop()
        middle = (whole.first + whole.end) // 2
        # The first half lies on top: lines go out in their order.
        halves = (whole.part(middle, whole.end), whole.part(whole.first, middle))
        self._open += [half for half in halves if len(half)]
        return True

    def reject(self, why: str) -> None:
        """Take note that the one line of the range is bad, by a proof of its own."""
        self.rejects.append((self._open.pop().last, why))
        # The proof was a line that the database took: so the suspects are bad as well.
        self._settle()

    @property
    def in_doubt(self) -> bool:
        """Whether it must be shown now that the database takes good lines."""
        return self._doubted or len(self._suspects) >= self._patience or (bool(self._suspects) and not self._open)

    def scouts(self) -> list[int]:
        """Return a few lines from all over the batch that were not tried alone; one of them in the database ends the doubt."""
        spread = range(self._lines) if self._lines <= SCOUTS else (int(self._lines * (n * GOLDEN % 1)) for n in range(SCOUTS))
        tried = {index for index, _why in (*self._suspects, *self.rejects)}
        return sorted(set(spread) - tried)

    def believe(self) -> None:
        """Take note that the database takes good lines, so that the suspects are bad."""
        self._settle()
        # A batch that is bad from end to end must not cost a proof every eight lines.
        self._patience *= 2

    def doubt(self) -> None:
        """Take note that the database takes nothing: the suspects are lines like any other."""
        # Nothing behind a suspect is settled but rejects: a line that is in settles it.
        first = min(index for index in (*(index for index, _why in self._suspects), *(part.first for part in self._open)))
        self._open = [Range(first, self._lines, frozenset(index for index, _why in self.rejects if index >= first))]
        self._suspects = []
        self._doubted = True

    def _settle(self) -> None:
        self.rejects += self._suspects
        self._suspects = []
        self._doubted = False
