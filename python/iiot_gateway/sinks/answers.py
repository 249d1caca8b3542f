"""What a database's answer means, and how to find the bad lines of a refused batch. Pure: no socket, no clock.

204            the lines are in; InfluxDB 1 to 3 and VictoriaMetrics confirm with nothing else
201, 400, 422  some line is bad: halve until it is found (201 and 422 wrote the rest; writing again overwrites, so it is harmless);
               every line is bad: nothing is wrong with the lines, wait and shout
413            too large: halve; a single line that is too large is bad
401, 403, 404  nothing is wrong with the lines: wait and shout
2xx, 3xx, 4xx  anything else is no answer of a database: wait and shout
408, 425, 429  wait as long as the peer asks; so for a 5xx that says when to come back
5xx            wait and try again; after a while a line may be to blame (outages.py)
network        wait and try again
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

LONGEST_REASON = 240
INTEGER_CONFLICT = re.compile(r"is type integer, already exists as type float")
"""InfluxDB's own words for an integer in a bucket that holds floats under its name; Telegraf writes every number as a float."""
INTEGERS_REMEDY = '; integers = "float" in the section of this database writes integers as floats'


class Verdict(Enum):
    """What to do after an answer."""

    ACCEPTED = "accepted"
    BAD_LINES = "bad_lines"
    TOO_LARGE = "too_large"
    WAIT = "wait"
    """The peer is not there or not ready."""
    FAILED = "failed"
    """The peer broke over the request, or at this time."""
    REFUSED = "refused"
    """The peer does not want us: a person must act."""
    CANCELLED = "cancelled"


class Answer(Protocol):
    """What a request came to: a status, or an error with status 0."""

    @property
    def status(self) -> int:
        """The status, 0 without an answer."""

    @property
    def error(self) -> str | None:
        """Why there was none, as a word."""

    @property
    def detail(self) -> str:
        """The same for people."""

    @property
    def retry_after_s(self) -> float | None:
        """How long the peer asks to wait."""

    @property
    def content_type(self) -> str:
        """What the peer calls the body."""

    @property
    def location(self) -> str:
        """Where a redirect leads."""

    @property
    def body(self) -> bytes:
        """The beginning of the body."""


def verdict(answer: Answer) -> Verdict:  # noqa: PLR0911 - the table above, a line a row
    """Classify an answer."""
    status = answer.status
    if status == 0:
        if answer.error == "cancelled":
            return Verdict.CANCELLED
        return Verdict.REFUSED if answer.error == "tls" else Verdict.WAIT
    if status == 204:
        return Verdict.ACCEPTED
    if status in (201, 400, 422):
        return Verdict.BAD_LINES
    if status == 413:
        return Verdict.TOO_LARGE
    if status in (408, 425, 429):
        return Verdict.WAIT
    if status >= 500:
        return Verdict.FAILED if answer.retry_after_s is None else Verdict.WAIT
    return Verdict.REFUSED


def reason(answer: Answer) -> str:
    """Return the peer's own words, short enough for a log and a reject."""
    status, text = answer.status, answer.body.decode("utf-8", "replace").strip()
    if not status:
        return (answer.error or answer.detail)[:LONGEST_REASON]
    if 200 <= status < 300 and verdict(answer) is Verdict.REFUSED:
        kind = answer.content_type or "no content type"
        return _short(f"{status} ({kind}) is no answer of a database, which confirms with 204: {text or 'an empty body'}")
    if 300 <= status < 400:
        return _short(f"{status} a redirect to {answer.location or 'nowhere'}, which is not followed")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        text = str(document.get("message") or document.get("error") or text)
    return _short(f"{status} {text or answer.detail}") + (INTEGERS_REMEDY if INTEGER_CONFLICT.search(text) else "")


def _short(text: str) -> str:
    return " ".join(text.split())[:LONGEST_REASON]


def remedy(status: int, path: str) -> str:
    """Say what to do about a refusal; `path` is the one that was posted to."""
    if 200 <= status < 300:
        return "set url to the database itself: a login page, a proxy or another server answers there; the lines wait in the journal"
    if 300 <= status < 400:
        return "set url to the database itself: the gateway follows no redirect, because it would carry the token to another host"
    if status == 405:
        return f"nothing takes lines at {path}: set url to the database's address, without the path of its API"
    if status == 415:
        return "set gzip = false: the server does not take compressed requests"
    return "check url, org, bucket and token; the lines wait in the journal"


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
        whole = self._open[-1]
        if whole.end - whole.first == 1:
            self._open.pop()
            self._suspects.append((whole.first, why))
        else:
            self.halve()

    def halve(self) -> bool:
        """Go on with the halves of the range; False in doubt, when nothing is halved."""
        if self._doubted:
            return False
        whole = self._open.pop()
        middle = (whole.first + whole.end) // 2
        # The first half lies on top: lines go out in their order.
        self._open += [Range(middle, whole.end), Range(whole.first, middle)]
        return True

    def reject(self, why: str) -> None:
        """Take note that the one line of the range is bad, by a proof of its own."""
        self.rejects.append((self._open.pop().first, why))
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
        first = self._suspects[0][0] if self._suspects else self._open[-1].first
        self._open = [Range(first, self._lines)]  # nothing behind a suspect is settled: a line that is in settles it
        self._suspects = []
        self._doubted = True

    def _settle(self) -> None:
        self.rejects += self._suspects
        self._suspects = []
        self._doubted = False
