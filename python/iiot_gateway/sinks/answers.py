"""What a database's answer means, and how to find the bad lines of a refused batch. Pure: no socket, no clock.

2xx           the lines are in
400, 422      some line is bad: halve until it is found (422 wrote the rest; writing again overwrites, so it is harmless);
              every line is bad: nothing is wrong with the lines, wait and shout
413           too large: halve; a single line that is too large is bad
401, 403, 404 nothing is wrong with the lines: wait and shout
429, 503      wait as long as the peer asks
5xx, network  wait and try again
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """What to do after an answer."""

    ACCEPTED = "accepted"
    BAD_LINES = "bad_lines"
    TOO_LARGE = "too_large"
    WAIT = "wait"
    """The peer is not there or not ready."""
    REFUSED = "refused"
    """The peer does not want us: a person must act."""
    CANCELLED = "cancelled"


def verdict(status: int, error: str | None) -> Verdict:  # noqa: PLR0911 - the table above, a line a row
    """Classify an answer; status 0 means that there was none."""
    if error == "cancelled":
        return Verdict.CANCELLED
    if status == 0:
        return Verdict.REFUSED if error == "tls" else Verdict.WAIT
    if 200 <= status < 300:
        return Verdict.ACCEPTED
    if status in (400, 422):
        return Verdict.BAD_LINES
    if status == 413:
        return Verdict.TOO_LARGE
    if status in (408, 425, 429) or status >= 500:
        return Verdict.WAIT
    return Verdict.REFUSED


def reason(status: int, body: bytes, detail: str) -> str:
    """Return the peer's own words, short enough for a log and a reject."""
    text = body.decode("utf-8", "replace").strip()
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if isinstance(document, dict):
        text = str(document.get("message") or document.get("error") or text)
    text = " ".join((text or detail).split())
    return f"{status} {text}"[:240] if status else text[:240]


@dataclass(frozen=True, slots=True)
class Range:
    """Lines first..end of a batch."""

    first: int
    end: int


PATIENCE = 8
"""So many lines may be refused in a row before the database must show that it takes any."""
SCOUTS = 16
GOLDEN = 0.6180339887498949


def newest_first(lines: int) -> range:
    """Return a few lines of so many, the last one first, as far back as the first."""
    return range(lines - 1, -1, -max(1, lines // SCOUTS))


class Delivery:
    """The plan of one batch: which range to post next, until every line is either in or known to be bad.

    Ask `next` for a range, post it, and say with one of the other methods what came of it. Waiting is not its business: a range
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
        """Return the range to post, None when all is settled."""
        return self._open[-1] if self._open else None

    def accepted(self) -> None:
        """Take note that the range is in."""
        self._open.pop()
        self._settle()

    def refused(self, why: str) -> None:
        """Halve the range that holds a bad line; a range of one line is a suspect. In doubt nothing is halved."""
        if self._doubted:
            return
        whole = self._open.pop()
        if whole.end - whole.first == 1:
            self._suspects.append((whole.first, why))
            return
        middle = (whole.first + whole.end) // 2
        # The first half lies on top: lines go out in their order.
        self._open += [Range(middle, whole.end), Range(whole.first, middle)]

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
        first = self._suspects[0][0] if self._suspects else self._open[-1].first
        self._open = [Range(first, self._lines)]  # nothing behind a suspect is settled: a line that is in settles it
        self._suspects = []
        self._doubted = True

    def _settle(self) -> None:
        self.rejects += self._suspects
        self._suspects = []
        self._doubted = False
