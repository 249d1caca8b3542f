"""The database sink: lines from the journal to a write URL, each batch confirmed when the database has it.

One task prepares the next batch while another posts the present one. A batch that cannot be posted is kept and tried again;
after a longer outage the prepared ones are dropped and read anew, because the journal may have pruned them meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import anyio
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from iiot_gateway._native import JournalError
from iiot_gateway.backoff import Backoff
from iiot_gateway.config.schema import InfluxdbSection
from iiot_gateway.errors import SinkUnavailable
from iiot_gateway.log import (
    SINK_AVAILABLE,
    SINK_LINES_REJECTED,
    SINK_NOT_AUTHORIZED,
    SINK_REFUSED,
    SINK_REFUSES_ALL,
    SINK_UNAVAILABLE,
    Repeated,
    get_log,
)
from iiot_gateway.sinks.answers import Delivery, Range, Verdict, reason, remedy, verdict
from iiot_gateway.sinks.base import SinkStatus
from iiot_gateway.sinks.canaries import Canaries
from iiot_gateway.sinks.outages import Outages

if TYPE_CHECKING:
    from iiot_gateway._native import Answer, LineBatch, LineSink, Poster

MAX_BATCH_BYTES = 8 << 20
REWIND_AFTER_S = 30.0
LONGEST_RETRY_AFTER_S = 3600.0
WAIT_FOR_FRAME_MS = 1000

REFUSES_ALL_REMEDY = "check url, org, bucket; the database refuses every line, so they are not believed to be bad and wait in the journal"

Prepared = tuple[int, "LineBatch"]


@dataclass(frozen=True, slots=True)
class _Tried:
    """What came of a request."""

    verdict: Verdict
    error: str
    retry_after_s: float | None
    status: int = 0
    remedy: str = ""


_TAKEN = _Tried(Verdict.ACCEPTED, "", None)


def write_url(section: InfluxdbSection) -> str:
    """Return the URL that lines are posted to."""
    base = section.url.rstrip("/")
    if section.api == "v1":
        return f"{base}/write?{urlencode({'db': section.bucket, 'precision': 'ns'})}"
    return f"{base}/api/v2/write?{urlencode({'org': section.org, 'bucket': section.bucket, 'precision': 'ns'})}"


def headers(section: InfluxdbSection) -> dict[str, str]:
    """Return the headers of every request; the token is among them, so do not log them."""
    token = section.token.reveal()
    return {"Authorization": f"Token {token}"} if token else {}


class InfluxdbSink:
    """Posts to one database."""

    kind = "influxdb"

    def __init__(self, name: str, section: InfluxdbSection, reader: LineSink, poster: Poster, *, backoff: Backoff | None = None) -> None:
        self.name = name
        self.status = SinkStatus()
        self._section = section
        self._path = urlsplit(write_url(section)).path
        self._reader = reader
        self._poster = poster
        self._backoff = backoff or Backoff()
        self._stopping = anyio.Event()
        self._done = anyio.Event()
        # Raised at each rewind; batches of an older generation were forgotten by the extension and are thrown away.
        self._generation = 0
        self._reading = anyio.Lock()
        self._failing_since_s: float | None = None
        self._canaries = Canaries()
        self._outages = Outages(section.suspect_after_s)
        self._log = get_log(sink=name)
        self._repeated = Repeated()
        # Apart, because each batch that is taken resets the other.
        self._unread = Repeated()

    async def run(self) -> None:
        """Wait until the database is there, then deliver until `stop`."""
        try:
            self._reader.rewind()
            if await self._available():
                await self._deliver_all()
        finally:
            self._done.set()
        self.status.change("stopped")

    async def stop(self, timeout_s: float) -> None:
        """Let the request under way finish; after the time-out it is cancelled and sent again at the next start."""
        self._stopping.set()
        self._reader.cancel()
        with anyio.move_on_after(timeout_s):
            await self._done.wait()
        self._poster.cancel()

    async def _available(self) -> bool:
        """Ask for a sign of life until there is one; False when stopped meanwhile."""
        url = self._section.url.rstrip("/") + "/ping"
        self.status.change("connecting")
        while not self._stopping.is_set():
            answer = await anyio.to_thread.run_sync(self._poster.get, url)
            if answer.status and answer.status < 500:
                self._recovered()  # even "who are you" is a sign of life; the write will say what is wrong
                return True
            error = reason(answer)
            if self._section.on_start == "fail":
                raise SinkUnavailable(f"[{self.name}] {self._section.url}: {error}")
            await self._pause(self._failed(_Tried(Verdict.WAIT, error, answer.retry_after_s)))
        return False

    async def _deliver_all(self) -> None:
        send, receive = anyio.create_memory_object_stream[Prepared](0)
        async with anyio.create_task_group() as tasks, receive:
            tasks.start_soon(self._prepare, send)
            await self._deliver_prepared(receive)
            tasks.cancel_scope.cancel()

    async def _prepare(self, send: MemoryObjectSendStream[Prepared]) -> None:
        async with send:
            backoff = Backoff()
            while not self._stopping.is_set():
                try:
                    async with self._reading:
                        generation = self._generation
                        batch = await anyio.to_thread.run_sync(self._next_batch)
                except JournalError as error:
                    await self._pause(self._unreadable(error, backoff.next_delay_s()))
                    continue
                if batch is not None:
                    await send.send((generation, batch))

    def _next_batch(self) -> LineBatch | None:
        return self._reader.next_batch(
            max_lines=self._section.batch_lines,
            max_bytes=MAX_BATCH_BYTES,
            linger_ms=self._section.batch_interval_ms,
            timeout_ms=WAIT_FOR_FRAME_MS,
            gzip=self._section.gzip,
        )

    async def _deliver_prepared(self, receive: MemoryObjectReceiveStream[Prepared]) -> None:
        async for generation, batch in receive:
            if generation == self._generation and not await self._deliver(batch):
                if self._stopping.is_set():
                    return
                async with self._reading:  # no batch is being read, so none can slip between the two lines
                    self._reader.rewind()
                    self._generation += 1

    async def _deliver(self, batch: LineBatch) -> bool:
        """Post and confirm a batch; False if it was given up and must be read again."""
        plan = Delivery(batch.lines)
        while (part := plan.next()) is not None:
            tried = await self._try(self._poster.post, batch, first=part.first, end=part.end)
            match tried.verdict:
                case Verdict.ACCEPTED:
                    self._accepted(batch, plan, part)
                    continue
                case Verdict.BAD_LINES | Verdict.TOO_LARGE:
                    plan.refused(tried.error)
                    if not plan.in_doubt or (tried := await self._doubted(batch, plan, tried)).verdict is Verdict.ACCEPTED:
                        continue
                case Verdict.FAILED:
                    if await self._blames_lines(batch, plan, part):
                        continue
            if tried.verdict is Verdict.CANCELLED:
                return False
            await self._pause(self._failed(tried))
            if self._stopping.is_set() or self._outage_s() > REWIND_AFTER_S:
                return False
        if self._outages:
            self._outages.delivered(batch.last_lines())
        return await self._settle(batch, sorted(plan.rejects))

    def _accepted(self, batch: LineBatch, plan: Delivery, part: Range) -> None:
        """Take note that a range is in."""
        plan.accepted()
        self._canaries.take(batch, part.first, part.end)
        self._recovered()

    async def _doubted(self, batch: LineBatch, plan: Delivery, refusal: _Tried) -> _Tried:
        """Find out whether the database takes good lines, so that the suspects are bad; return what was found."""
        newest = await self._newest(batch)
        tried = (
            await self._post_until(self._canaries.of_any(newest, batch, plan.scouts()), (Verdict.BAD_LINES, Verdict.TOO_LARGE)) or refusal
        )
        if tried.verdict is Verdict.ACCEPTED:
            plan.believe()
            self._recovered()
            return tried
        plan.doubt()
        if tried.verdict in (Verdict.BAD_LINES, Verdict.TOO_LARGE):
            return replace(tried, verdict=Verdict.REFUSED, remedy=REFUSES_ALL_REMEDY)
        return tried

    async def _blames_lines(self, batch: LineBatch, plan: Delivery, part: Range) -> bool:
        """Take a 5xx to a range: where it has lasted, halve the range, or judge its one line. False if it is to be waited for."""
        measurements = batch.last_lines(first=part.first, end=part.end)
        if not self._outages.failed(measurements, time.monotonic()):
            return False
        if part.end - part.first > 1:
            return plan.halve()
        newest = await self._newest(batch)
        for name in measurements:
            lines = self._canaries.of(name, newest, batch, part.end)
            tried = await self._post_until(lines, (Verdict.FAILED, Verdict.BAD_LINES), name)
            if tried is None or tried.verdict is not Verdict.ACCEPTED:
                return False
        # Once more, because the database may have come back between the line and its proof.
        again = await self._try(self._poster.post, batch, first=part.first, end=part.end)
        if again.verdict is Verdict.ACCEPTED:
            self._accepted(batch, plan, part)
        elif again.verdict is Verdict.FAILED:
            plan.reject(again.error)
            self._recovered()
        return again.verdict in (Verdict.ACCEPTED, Verdict.FAILED)

    async def _post_until(self, lines: Sequence[bytes], go_on: Sequence[Verdict], measurement: bytes | None = None) -> _Tried | None:
        """Post lines one by one while the answers are such that the line may be to blame; return the last answer."""
        tried = None
        for line in lines:
            tried = await self._try(self._poster.post_bytes, line)
            if tried.verdict is Verdict.ACCEPTED:
                self._canaries.take_line(measurement, line)
            if tried.verdict not in go_on or self._stopping.is_set():
                break
        return tried

    async def _newest(self, batch: LineBatch) -> LineBatch | None:
        """Return the newest lines in the journal; whoever comes to a damaged frame in its turn says so."""
        with suppress(JournalError):
            return await anyio.to_thread.run_sync(self._reader.newest, batch.end_position)
        return None

    async def _try(self, ask: Callable[..., Answer], *arguments: object, **named: object) -> _Tried:
        answer = await anyio.to_thread.run_sync(partial(ask, *arguments, **named))
        judged = verdict(answer)
        if judged is Verdict.ACCEPTED:
            return _TAKEN
        return _Tried(judged, reason(answer), answer.retry_after_s, answer.status, remedy(answer.status, self._path))

    async def _settle(self, batch: LineBatch, rejects: list[tuple[int, str]]) -> bool:
        """Confirm a batch of which every line is in or rejected; False if the journal does not take it now."""
        if rejects:
            index, why = rejects[0]
            first = batch.line(index)[:80].decode("utf-8", "replace")
            self._log.error(SINK_LINES_REJECTED, lines=len(rejects), of=batch.lines, first=first, reason=why)
        try:
            if not self._reader.confirm(batch, rejects=rejects, wait=False):
                await anyio.to_thread.run_sync(lambda: self._reader.confirm(batch, rejects=rejects))
        except JournalError as error:
            # A full disk: the lines are in the database, and writing them again overwrites them.
            self.status.change("journal_unavailable", str(error))
            await self._pause(self._backoff.next_delay_s())
            return False
        return True

    def _recovered(self) -> None:
        if self.status.state != "connected":
            self._log.info(SINK_AVAILABLE, url=self._section.url)
            self.status.change("connected", "")
            self._repeated.reset()
        self._failing_since_s = None
        self._backoff.reset()

    def _failed(self, tried: _Tried) -> float:
        """Take a failure and return how long to wait."""
        if tried.verdict is not Verdict.FAILED:
            self._outages.interrupted()
        if self._failing_since_s is None:
            self._failing_since_s = time.monotonic()
            self.status.reconnects += 1
        delay_s = self._backoff.next_delay_s()
        if tried.retry_after_s is not None:
            delay_s = min(max(tried.retry_after_s, 0.1), LONGEST_RETRY_AFTER_S)
        refused = tried.verdict is Verdict.REFUSED
        self.status.change("refused" if refused else "disconnected", tried.error)
        if (extra := self._repeated.allows(tried.error)) is not None:
            if refused:
                event = SINK_NOT_AUTHORIZED if tried.status in (401, 403) else SINK_REFUSED
                event = SINK_REFUSES_ALL if tried.remedy is REFUSES_ALL_REMEDY else event
                self._log.error(event, error=tried.error, retry_s=round(delay_s, 1), remedy=tried.remedy, **extra)
            else:
                self._log.warning(SINK_UNAVAILABLE, error=tried.error, retry_s=round(delay_s, 1), **extra)
        return delay_s

    def _unreadable(self, error: JournalError, delay_s: float) -> float:
        """Take a journal that could not be read; return how long to wait."""
        self.status.change("journal_unavailable", str(error))
        if (extra := self._unread.allows(str(error))) is not None:
            self._log.error(SINK_UNAVAILABLE, error=str(error), kind="journal_unavailable", retry_s=round(delay_s, 1), **extra)
        return delay_s

    def _outage_s(self) -> float:
        return 0.0 if self._failing_since_s is None else time.monotonic() - self._failing_since_s

    async def _pause(self, delay_s: float) -> None:
        with anyio.move_on_after(delay_s):
            await self._stopping.wait()
