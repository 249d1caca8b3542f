"""The meaning of HTTP answers of a database for line protocol. Pure: no socket, no clock.

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
from typing import Protocol

from iiot_gateway.sinks.outlet import Result

LONGEST_REASON = 240
INTEGER_CONFLICT = re.compile(r"is type integer, already exists as type float")
"""InfluxDB's own words for an integer in a bucket that holds floats under its name; Telegraf writes every number as a float."""
INTEGERS_REMEDY = '; integers = "float" in the section of this database writes integers as floats'


class Answer(Protocol):
    """The result of a request: a status, or an error with status 0."""

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


def result(answer: Answer) -> Result:  # noqa: PLR0911 - the table above, a line per row
    """Classify an answer."""
    status = answer.status
    if status == 0:
        if answer.error == "cancelled":
            return Result.CANCELLED
        return Result.REFUSED if answer.error == "tls" else Result.WAIT
    if status == 204:
        return Result.ACCEPTED
    if status in (201, 400, 422):
        return Result.BAD_LINES
    if status == 413:
        return Result.TOO_LARGE
    if status in (408, 425, 429):
        return Result.WAIT
    if status >= 500:
        return Result.FAILED if answer.retry_after_s is None else Result.WAIT
    return Result.REFUSED


def reason(answer: Answer) -> str:
    """Return the peer's own words, short enough for a log and a reject."""
    status, text = answer.status, answer.body.decode("utf-8", "replace").strip()
    if not status:
        return (answer.error or answer.detail)[:LONGEST_REASON]
    if 200 <= status < 300 and result(answer) is Result.REFUSED:
        kind = answer.content_type or "no content type"
        return _short(f"{status} ({kind}) is not the answer of a database, which confirms with 204: {text or 'an empty body'}")
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
    return "check url, api, org, bucket and token; the lines wait in the journal"
