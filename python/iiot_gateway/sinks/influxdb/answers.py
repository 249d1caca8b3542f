"""The meaning of the HTTP answers of a database for line protocol. Pure: no socket, no clock.

204            the lines are stored; InfluxDB 1 to 3 and VictoriaMetrics confirm with no other status
201, 400, 422  some lines are bad: halve the batch until they are found (with 201 and 422 the other lines were written; writing
               them again overwrites them, which is harmless). If every line is refused, the lines are good: wait, and log an error
413            the batch is too large: halve it; a single line that is too large is bad
401, 403, 404  the lines are good: wait, and log an error
2xx, 3xx, 4xx  no other of these statuses comes from a database: wait, and log an error
408, 425, 429  wait as long as the peer asks; the same for a 5xx with a Retry-After
5xx            wait and try again; after a while a line may be to blame (outages.py)
network error  wait and try again
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
        """The HTTP status; 0 without an answer."""

    @property
    def error(self) -> str | None:
        """A word for the reason why there was no answer."""

    @property
    def detail(self) -> str:
        """The reason in words for people."""

    @property
    def retry_after_s(self) -> float | None:
        """How long the peer asks to wait, in seconds."""

    @property
    def content_type(self) -> str:
        """The content type that the peer gives for the body."""

    @property
    def location(self) -> str:
        """The target of a redirect."""

    @property
    def body(self) -> bytes:
        """The beginning of the body."""


def result(answer: Answer) -> Result:  # noqa: PLR0911 - the table above, one line per row
    """Return the result that an answer means."""
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
    """Return the peer's own words, short enough for the log and for a reject."""
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
    """Return what a person must do about a refusal. `path` is the path of the request."""
    if 200 <= status < 300:
        return "set url to the database itself: a login page, a proxy or another server answers there; the lines wait in the journal"
    if 300 <= status < 400:
        return "set url to the database itself: the gateway follows no redirect, because it would carry the token to another host"
    if status == 405:
        return f"nothing takes lines at {path}: set url to the database's address, without the path of its API"
    if status == 415:
        return "set gzip = false: the server does not take compressed requests"
    return "check url, api, org, bucket and token; the lines wait in the journal"
