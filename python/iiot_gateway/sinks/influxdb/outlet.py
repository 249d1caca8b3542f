"""The outlet for line protocol: posts lines from the journal to a write URL. `delivery.py` decides when to try again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from iiot_gateway.sinks.influxdb.answers import reason, remedy, result
from iiot_gateway.sinks.influxdb.section import InfluxdbSection
from iiot_gateway.sinks.outlet import TAKEN, LineOutlet, Outcome, Result
from iiot_gateway.sinks.plan import Range

if TYPE_CHECKING:
    from iiot_gateway._native import Answer, LineBatch, LineSink, Poster

MAX_BATCH_BYTES = 8 << 20


def write_url(section: InfluxdbSection) -> str:
    """Return the URL to which lines are posted."""
    base = section.url.rstrip("/")
    if section.api == "v1":
        return f"{base}/write?{urlencode({'db': section.bucket, 'precision': 'ns'})}"
    return f"{base}/api/v2/write?{urlencode({'org': section.org, 'bucket': section.bucket, 'precision': 'ns'})}"


def headers(section: InfluxdbSection) -> dict[str, str]:
    """Return the headers of every request. They contain the token, so do not log them."""
    token = section.token.reveal()
    return {"Authorization": f"Token {token}"} if token else {}


class InfluxdbOutlet(LineOutlet):
    """Posts lines to one database. A line that is written again overwrites itself."""

    refuses_all_remedy = (
        "check url, org, bucket; the database refuses every line, so they are not believed to be bad and wait in the journal"
    )

    def __init__(self, section: InfluxdbSection, reader: LineSink, poster: Poster) -> None:
        super().__init__(
            reader,
            max_lines=section.batch_lines,
            max_bytes=MAX_BATCH_BYTES,
            linger_ms=section.batch_interval_ms,
            gzip=section.gzip,
        )
        self.place = ("url", section.url)
        self._ping = section.url.rstrip("/") + "/ping"
        self._path = urlsplit(write_url(section)).path
        self._poster = poster

    def greet(self) -> Outcome:
        """Find out whether the database answers. An answer such as 401 also counts: the first write will report what is wrong."""
        answer = self._poster.get(self._ping)
        if answer.status and answer.status < 500:
            return TAKEN
        return Outcome(Result.WAIT, reason(answer), retry_after_s=answer.retry_after_s)

    def send(self, batch: LineBatch, part: Range) -> Outcome:
        """Post a part of a batch."""
        return self._judged(self._poster.post, batch, first=part.first, end=part.end)

    def prove(self, line: bytes) -> Outcome:
        """Post a line that is in the database, or will be written there."""
        return self._judged(self._poster.post_bytes, line)

    def stop_sending(self) -> None:
        """End the request under way, and every later one."""
        self._poster.cancel()

    def _judged(self, ask: Callable[..., Answer], *arguments: object, **named: object) -> Outcome:
        answer = ask(*arguments, **named)
        judged = result(answer)
        if judged is Result.ACCEPTED:
            return TAKEN
        return Outcome(
            judged,
            reason(answer),
            remedy(answer.status, self._path),
            retry_after_s=answer.retry_after_s,
            not_authorized=answer.status in (401, 403),
        )
