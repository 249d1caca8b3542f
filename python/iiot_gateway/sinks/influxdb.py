"""The database sink: lines from the journal to a write URL, each batch confirmed when the database has it.

One task prepares the next batch while another posts the present one. A batch that cannot be posted is kept and tried again;
after a longer outage the prepared ones are dropped and read anew, because the journal may have pruned them meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlencode

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
    SINK_REFUSES_ALL,
    SINK_UNAVAILABLE,
    Repeated,
    get_log,
)
from iiot_gateway.sinks.answers import Delivery, Verdict, newest_first, reason, verdict
from iiot_gateway.sinks.base import SinkStatus

if TYPE_CHECKING:
    from iiot_gateway._native import Answer, LineBatch, LineSink, Poster

MAX_BATCH_BYTES = 8 << 20
REWIND_AFTER_S = 30.0
LONGEST_RETRY_AFTER_S = 3600.0
WAIT_FOR_FRAME_MS = 1000

REFUSED_REMEDY = "check url, org, bucket and token; the lines wait in the journal"
REFUSES_ALL_REMEDY = "check url, org, bucket; the database refuses every line, so they are not believed to be bad and wait in the journal"

Prepared = tuple[int, "LineBatch"]


@dataclass(frozen=True, slots=True)
class _Tried:
    """What came of a request."""

    verdict: Verdict
    error: str
    retry_after_s: float | None


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
        self._reader = reader
        self._poster = poster
        self._backoff = backoff or Backoff()
        self._stopping = anyio.Event()
        self._done = anyio.Event()
        # Raised at each rewind; batches of an older generation were forgotten by the extension and are thrown away.
        self._generation = 0
        self._reading = anyio.Lock()
        self._failing_since_s: float | None = None
        # The last line that the database took: posted again, it tells whether it still takes lines.
        self._canary: bytes | None = None
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
            error = reason(answer.status, answer.body, answer.error or answer.detail)
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
            remedy = REFUSED_REMEDY
            if tried.verdict is Verdict.ACCEPTED:
                plan.accepted()
                self._canary = batch.line(part.end - 1)
                self._recovered()
                continue
            if tried.verdict in (Verdict.BAD_LINES, Verdict.TOO_LARGE):
                plan.refused(tried.error)
                if not plan.in_doubt:
                    continue
                tried = await self._prove(batch, plan) or tried
                if tried.verdict is Verdict.ACCEPTED:
                    plan.believe()
                    self._recovered()
                    continue
                plan.doubt()
                if tried.verdict in (Verdict.BAD_LINES, Verdict.TOO_LARGE):
                    tried, remedy = replace(tried, verdict=Verdict.REFUSED), REFUSES_ALL_REMEDY
            if tried.verdict is Verdict.CANCELLED:
                return False
            await self._pause(self._failed(tried, remedy))
            if self._stopping.is_set() or self._outage_s() > REWIND_AFTER_S:
                return False
        if plan.rejects:
            index, why = plan.rejects[0]
            self._log.error(
                SINK_LINES_REJECTED,
                lines=len(plan.rejects),
                of=batch.lines,
                first=batch.line(index)[:80].decode("utf-8", "replace"),
                reason=why,
            )
        return await self._confirm(batch, plan.rejects)

    async def _prove(self, batch: LineBatch, plan: Delivery) -> _Tried | None:
        """Find out whether the database takes good lines: one that it took before, else the newest, else some from all over the batch.

        What came last is good more often than what waited longest: a database with a retention refuses everything that is too old for
        it. Writing a line again overwrites it. Returns the first answer that is no refusal of the line, else the last one.
        """
        lines = [self._canary] if self._canary else []
        newest = None
        with suppress(JournalError):  # whoever comes to a damaged frame in its turn says so
            newest = await anyio.to_thread.run_sync(self._reader.newest, batch.end_position)
        if newest is not None:
            lines += [newest.line(index) for index in newest_first(newest.lines)]
        lines += [batch.line(index) for index in plan.scouts()]
        tried = None
        for line in lines:
            tried = await self._try(self._poster.post_bytes, line)
            if tried.verdict is Verdict.ACCEPTED:
                self._canary = line
            if tried.verdict not in (Verdict.BAD_LINES, Verdict.TOO_LARGE) or self._stopping.is_set():
                break
        return tried

    async def _try(self, ask: Callable[..., Answer], *arguments: object, **named: object) -> _Tried:
        answer = await anyio.to_thread.run_sync(partial(ask, *arguments, **named))
        status = answer.status
        failure = None if status else answer.error
        judged = verdict(status, failure)
        if judged is Verdict.ACCEPTED:
            return _TAKEN
        return _Tried(judged, reason(status, answer.body, failure or answer.detail), answer.retry_after_s)

    async def _confirm(self, batch: LineBatch, rejects: list[tuple[int, str]]) -> bool:
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

    def _failed(self, tried: _Tried, remedy: str = REFUSED_REMEDY) -> float:
        """Take a failure and return how long to wait."""
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
                event = SINK_REFUSES_ALL if remedy is REFUSES_ALL_REMEDY else SINK_NOT_AUTHORIZED
                self._log.error(event, error=tried.error, retry_s=round(delay_s, 1), remedy=remedy, **extra)
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
