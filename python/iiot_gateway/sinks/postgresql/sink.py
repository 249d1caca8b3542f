"""The PostgreSQL sink: writes rows from the journal to tables, together with the position behind them.

The sink connects, which shows the position in the database. Then it reads a batch while the previous one is committed, and confirms each.
After every failure it does the same: it waits, connects, and reads again from the position in the database. So nothing is sent twice and
nothing is left out. An error decides only how long the sink waits, and what the log says.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread

from iiot_gateway._native import JournalError, PostgresError, RowBatch
from iiot_gateway.backoff import Backoff
from iiot_gateway.log import (
    SINK_AVAILABLE,
    SINK_LINES_REJECTED,
    SINK_LOST_BY_PEER,
    SINK_REFUSED,
    SINK_STOPPED,
    SINK_UNAVAILABLE,
    SINK_VALUES_LEFT_OUT,
    Repeated,
    get_log,
)
from iiot_gateway.sinks.base import SinkStatus
from iiot_gateway.sinks.postgresql.failures import FINAL, remedy
from iiot_gateway.sinks.postgresql.retention import Retention
from iiot_gateway.sinks.postgresql.section import PostgresqlSection

if TYPE_CHECKING:
    from iiot_gateway._native import PostgresResumed, PostgresSink

T = TypeVar("T")

MAX_BATCH_BYTES = 8 << 20
WAIT_FOR_FRAME_MS = 1000
REMIND_S = 3600.0
MAX_NAMES = 1000
"""The most missing columns that are remembered because they were logged."""


class PostgresqlSink:
    """Writes to one database."""

    kind = "postgresql"

    def __init__(
        self, name: str, section: PostgresqlSection, native: PostgresSink, shown: str, run: str, *, backoff: Backoff | None = None
    ) -> None:
        """`shown` names the database for people; `run` is the id of the journal's run."""
        self.name = name
        self.status = SinkStatus(details={"run": run, "rows": 0, "transactions": 0, "commit_s": 0.0, "repeated": 0, "left_out": 0})
        self._section = section
        self._native = native
        self._shown = shown
        self._backoff = backoff or Backoff()
        self._retention = Retention(name, section, native)
        self._stopping = anyio.Event()
        self._done = anyio.Event()
        # The sink has two threads of its own, one to read and one to commit. Both wait as long as the gateway runs.
        self._threads = anyio.CapacityLimiter(2)
        self._log = get_log(sink=name)
        self._repeated = Repeated()
        self._rejected = Repeated()
        self._missing: set[tuple[str, str]] = set()

    async def run(self) -> None:
        """Connect and deliver until `stop`. After any failure, begin again at the position in the database."""
        try:
            while not self._stopping.is_set():
                try:
                    await self._connect()
                    await self._deliver()
                except (PostgresError, JournalError) as error:
                    if isinstance(error, PostgresError) and error.kind in FINAL:
                        await self._give_up(error)
                    elif not self._stopping.is_set():
                        await self._pause(self._failed(error))
        finally:
            with anyio.CancelScope(shield=True):
                await self._call(self._native.close)
            self._done.set()
        self.status.change("stopped")

    async def stop(self, timeout_s: float) -> None:
        """Let the transaction under way finish. If it is cut off, the next start finds its result in the database."""
        self._stopping.set()
        self._native.stop()
        with anyio.move_on_after(timeout_s):
            await self._done.wait()
        self._native.cancel()

    async def _connect(self) -> None:
        self.status.change("connecting")
        resumed = await self._call(self._native.connect)
        await self._call(self._native.rewind)
        self._tell(resumed)
        self.status.change("connected", "")

    def _tell(self, resumed: PostgresResumed) -> None:
        """Log the position at which the sink continues, and the frames that the database has lost."""
        extension = {"timescaledb": resumed.timescaledb} if resumed.timescaledb else {}
        self._log.info(
            SINK_AVAILABLE, database=self._shown, server=resumed.server_version, state=resumed.state, position=resumed.position, **extension
        )
        first, end = resumed.lost
        if resumed.state == "behind" and first < end:
            self._log.error(
                SINK_LOST_BY_PEER,
                first=first,
                end=end,
                frames=end - first,
                reason="the database came back as it was earlier, and the journal has these frames no more",
            )
        elif resumed.state == "behind":
            self._log.warning(SINK_LOST_BY_PEER, frames=0, reason="the database came back as it was earlier; its rows are sent again")
        if resumed.lost_here:
            self._log.warning(
                SINK_LOST_BY_PEER, at="journal", frames=resumed.lost_here, reason="the database has rows whose frames the journal lost"
            )
        self.status.details.update(position=resumed.position, server=resumed.server_version, timescaledb=resumed.timescaledb)

    async def _deliver(self) -> None:
        batch: RowBatch | None = None
        while not self._stopping.is_set():
            if self._retention.is_due() and not await self._call(self._retention.apply):
                batch = None  # the new connection begins at the position in the database, so the batch is read again
                await self._connect()
            batch = await self._step(batch)

    async def _step(self, batch: RowBatch | None) -> RowBatch | None:
        """Commit a batch, and read the next one meanwhile. Return the next batch."""
        ahead: RowBatch | JournalError | None = None

        async def read() -> None:
            nonlocal ahead
            try:
                ahead = await self._call(self._next_batch)
            except JournalError as error:
                ahead = error

        failed: PostgresError | JournalError | None = None
        is_in = True
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            if batch is not None:
                try:
                    is_in = await self._commit(batch)
                except (PostgresError, JournalError) as error:
                    failed = error  # raised below, outside the task group, because a task group would wrap it
        if failed is not None:
            raise failed
        if not is_in:
            # The tables have changed, and both batches were made for their old form.
            await self._call(self._native.rewind)
            return None
        if isinstance(ahead, JournalError):
            raise ahead
        return ahead

    def _next_batch(self) -> RowBatch | None:
        return self._native.next_batch(
            max_rows=self._section.batch_rows,
            max_bytes=MAX_BATCH_BYTES,
            linger_ms=self._section.batch_interval_ms,
            timeout_ms=WAIT_FOR_FRAME_MS,
        )

    async def _commit(self, batch: RowBatch) -> bool:
        """Commit and confirm a batch. Return False if it must be read again."""
        began_s = time.monotonic()
        if not await self._call(partial(self._native.commit, batch)):
            return False
        self._count(batch, time.monotonic() - began_s)
        if not self._native.confirm(batch, wait=False):
            await self._call(partial(self._native.confirm, batch, wait=True))
        self._backoff.reset()
        self._repeated.reset()
        return True

    def _count(self, batch: RowBatch, took_s: float) -> None:
        details, refused = self.status.details, batch.refused
        if refused:
            _position, _point, reason, excerpt = refused[0]
            if (extra := self._rejected.allows("rows")) is not None:
                self._log.error(SINK_LINES_REJECTED, lines=len(refused), first=excerpt[:80], reason=reason, **extra)
        details["rows"] += batch.rows - batch.repeated
        details["repeated"] += batch.repeated
        details["transactions"] += 1
        details["commit_s"] = round(details["commit_s"] + took_s, 6)
        details["position"] = batch.end_position
        for table, column, count in batch.left_out:
            details["left_out"] += count
            if (table, column) not in self._missing and len(self._missing) < MAX_NAMES:
                self._missing.add((table, column))
                self._log.warning(
                    SINK_VALUES_LEFT_OUT, table=table, column=column, remedy="add the column, or a column extra of type jsonb"
                )

    def _failed(self, error: PostgresError | JournalError) -> float:
        """Report a failure and return how long to wait, in seconds."""
        delay_s = self._backoff.next_delay_s()
        self.status.reconnects += 1
        if isinstance(error, JournalError):
            state, event, log, more = "journal_unavailable", SINK_UNAVAILABLE, self._log.error, {}
        elif error.kind == "report":
            state, event, log, more = "refused", SINK_REFUSED, self._log.error, {"remedy": remedy(error, self.name)}
        else:
            state, event, log, more = "disconnected", SINK_UNAVAILABLE, self._log.warning, {}
        self.status.change(state, str(error))
        if (extra := self._repeated.allows(str(error))) is not None:
            log(event, error=str(error), retry_s=round(delay_s, 1), **more, **extra)
        return delay_s

    async def _give_up(self, error: PostgresError) -> None:
        """Deliver nothing more until the next start, and log this every hour."""
        self.status.change(error.kind, str(error))
        while not self._stopping.is_set():
            self._log.error(SINK_STOPPED, error=str(error), remedy=remedy(error, self.name))
            await self._pause(REMIND_S)

    async def _call(self, call: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(call, limiter=self._threads)

    async def _pause(self, delay_s: float) -> None:
        with anyio.move_on_after(delay_s):
            await self._stopping.wait()
