"""The delivery loop: sends batches from the journal to another side, and confirms each when that side has every line but the bad ones.

The outlet (`outlet.py`) sends the lines and says what an answer means. This module decides when to try again, which lines of a refused
batch are bad (`plan.py`), when that is certain (`canaries.py`, `outages.py`), and what the log and the status say.

One task prepares the next batch while another sends the present one. A batch that cannot be sent is kept and tried again.
After a longer outage the prepared batches are dropped and read again, because the journal may have pruned their frames meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Generic

import anyio
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from iiot_gateway._native import JournalError
from iiot_gateway.backoff import Backoff
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
from iiot_gateway.sinks.base import SinkStatus
from iiot_gateway.sinks.canaries import Canaries
from iiot_gateway.sinks.outages import Outages
from iiot_gateway.sinks.outlet import B, Outcome, Outlet, Result
from iiot_gateway.sinks.plan import Delivery, Range

REWIND_AFTER_S = 30.0
LONGEST_RETRY_AFTER_S = 3600.0
SUSPECT_AFTER_S = 600.0
BAD = (Result.BAD_LINES, Result.TOO_LARGE)


class DeliverySink(Generic[B]):
    """A sink that sends batches through an outlet."""

    def __init__(
        self,
        name: str,
        kind: str,
        outlet: Outlet[B],
        *,
        on_start: str = "wait",
        suspect_after_s: float = SUSPECT_AFTER_S,
        backoff: Backoff | None = None,
    ) -> None:
        """With on_start = "fail", the gateway ends if the other side is absent at the start.

        Lines become suspects after the other side has answered FAILED to them for `suspect_after_s` seconds.
        """
        self.name = name
        self.kind = kind
        self.status = SinkStatus()
        self._outlet = outlet
        self._on_start = on_start
        self._backoff = backoff or Backoff()
        self._stopping = anyio.Event()
        self._done = anyio.Event()
        # Increases at each rewind. The outlet has forgotten the batches of older generations, so they are thrown away.
        self._generation = 0
        self._reading = anyio.Lock()
        self._failing_since_s: float | None = None
        self._gone: Outcome | None = None
        self._canaries = Canaries()
        self._outages = Outages(suspect_after_s)
        self._log = get_log(sink=name)
        self._repeated = Repeated()
        # Separate, because each accepted batch resets `_repeated`.
        self._unread = Repeated()

    async def run(self) -> None:
        """Wait until the other side is available, then deliver until `stop`."""
        try:
            self._outlet.rewind()
            if await self._available():
                await self._deliver_all()
        finally:
            self._done.set()
        # Raised here, outside the task group, because a task group would wrap it.
        if self._gone is not None:
            raise self._unavailable(self._gone)
        self.status.change("stopped")

    async def stop(self, timeout_s: float) -> None:
        """Let the request under way finish. After the time-out it is cancelled, and its lines are sent again at the next start."""
        self._stopping.set()
        self._outlet.stop_reading()
        with anyio.move_on_after(timeout_s):
            await self._done.wait()
        self._outlet.stop_sending()

    async def _available(self) -> bool:
        """Greet the other side until it answers. Return False if the sink is stopped first."""
        self.status.change("connecting")
        while not self._stopping.is_set():
            outcome = await self._ask(self._outlet.greet)
            if outcome.result is Result.ACCEPTED:
                self._recovered()
                return True
            if self._on_start == "fail" or outcome.result is Result.GONE:
                raise self._unavailable(outcome)
            await self._pause(self._failed(outcome))
        return False

    def _unavailable(self, outcome: Outcome) -> SinkUnavailable:
        remedy = f"; {outcome.remedy}" if outcome.remedy else ""
        return SinkUnavailable(f"[{self.name}] {self._outlet.place[1]}: {outcome.error}{remedy}")

    async def _deliver_all(self) -> None:
        send, receive = anyio.create_memory_object_stream[tuple[int, B]](0)
        async with anyio.create_task_group() as tasks, receive:
            tasks.start_soon(self._prepare, send)
            await self._deliver_prepared(receive)
            tasks.cancel_scope.cancel()

    async def _prepare(self, send: MemoryObjectSendStream[tuple[int, B]]) -> None:
        async with send:
            backoff = Backoff()
            while not self._stopping.is_set():
                try:
                    async with self._reading:
                        generation = self._generation
                        batch = await anyio.to_thread.run_sync(self._outlet.next_batch)
                except JournalError as error:
                    await self._pause(self._unreadable(error, backoff.next_delay_s()))
                    continue
                if batch is not None:
                    await send.send((generation, batch))

    async def _deliver_prepared(self, receive: MemoryObjectReceiveStream[tuple[int, B]]) -> None:
        async for generation, batch in receive:
            if generation == self._generation and not await self._deliver(batch):
                if self._stopping.is_set() or self._gone is not None:
                    return
                async with self._reading:  # no batch is read meanwhile, so none gets the wrong generation
                    self._outlet.rewind()
                    self._generation += 1

    async def _deliver(self, batch: B) -> bool:
        """Send and confirm a batch. Return False if the batch was given up and must be read again."""
        plan = Delivery(batch.lines)
        while (part := plan.next()) is not None:
            outcome = await self._ask(self._outlet.send, batch, part)
            match outcome.result:
                case Result.ACCEPTED:
                    self._accepted(batch, plan, part)
                    continue
                case Result.BAD_LINES | Result.TOO_LARGE:
                    plan.refused(outcome.error, outcome.rows)
                    if not plan.in_doubt or (outcome := await self._doubted(batch, plan, outcome)).result is Result.ACCEPTED:
                        continue
                case Result.FAILED:
                    if await self._blames_lines(batch, plan, part):
                        continue
            if await self._gives_up(outcome):
                return False
        if self._outages:
            self._outages.delivered(batch.last_lines())
        return await self._settle(batch, sorted(plan.rejects))

    async def _gives_up(self, outcome: Outcome) -> bool:
        """Handle a failure that the lines did not cause, and wait. Return whether the batch must be given up and read again."""
        if outcome.result is Result.GONE:
            self._gone = outcome
        if outcome.result in (Result.CANCELLED, Result.GONE):
            return True
        await self._pause(self._failed(outcome))
        return self._stopping.is_set() or self._outage_s() > REWIND_AFTER_S

    def _accepted(self, batch: B, plan: Delivery, part: Range) -> None:
        """Note that the other side has accepted a range."""
        plan.accepted()
        self._canaries.take(batch, part)
        self._recovered()

    async def _doubted(self, batch: B, plan: Delivery, refusal: Outcome) -> Outcome:
        """Find out whether the other side accepts good lines; if so, the suspects are bad. Return the deciding outcome."""
        newest = await self._newest(batch)
        outcome = await self._prove_until(self._canaries.of_any(newest, batch, plan.scouts()), BAD) or refusal
        if outcome.result is Result.ACCEPTED:
            plan.believe()
            self._recovered()
            return outcome
        plan.doubt()
        if outcome.result in BAD:
            return replace(outcome, result=Result.REFUSED, remedy=self._outlet.refuses_all_remedy, refuses_all=True)
        return outcome

    async def _blames_lines(self, batch: B, plan: Delivery, part: Range) -> bool:
        """Handle a failure of a range: if it has lasted long enough, halve the range or judge its only line.

        Return False if the loop must wait and send the same range again.
        """
        measurements = batch.last_lines(first=part.first, end=part.end)
        if not self._outages.failed(measurements, time.monotonic()):
            return False
        if len(part) > 1:
            return plan.halve()
        newest = await self._newest(batch)
        for name in measurements:
            lines = self._canaries.of(name, newest, batch, part.end)
            outcome = await self._prove_until(lines, (Result.FAILED, Result.BAD_LINES), name)
            if outcome is None or outcome.result is not Result.ACCEPTED:
                return False
        # Send the line once more, because the other side may have recovered between the line and its proof.
        again = await self._ask(self._outlet.send, batch, part)
        if again.result is Result.ACCEPTED:
            self._accepted(batch, plan, part)
        elif again.result is Result.FAILED:
            plan.reject(again.error)
            self._recovered()
        return again.result in (Result.ACCEPTED, Result.FAILED)

    async def _prove_until(self, lines: Sequence[bytes], go_on: Sequence[Result], measurement: bytes | None = None) -> Outcome | None:
        """Send lines one by one, as long as each answer is one of `go_on`. Return the last answer, or None if there was no line."""
        outcome = None
        for line in lines:
            outcome = await self._ask(self._outlet.prove, line)
            if outcome.result is Result.ACCEPTED:
                self._canaries.take_line(measurement, line)
            if outcome.result not in go_on or self._stopping.is_set():
                break
        return outcome

    async def _newest(self, batch: B) -> B | None:
        """Return the newest lines in the journal, or None if they cannot be read. A damaged frame is reported when its turn comes."""
        with suppress(JournalError):
            return await anyio.to_thread.run_sync(self._outlet.newest, batch)
        return None

    async def _ask(self, ask: Callable[..., Outcome], *arguments: Any) -> Outcome:
        return await anyio.to_thread.run_sync(partial(ask, *arguments))

    async def _settle(self, batch: B, rejects: list[tuple[int, str]]) -> bool:
        """Confirm a batch whose lines are all stored or rejected. Return False if the journal cannot record that now."""
        if rejects:
            index, why = rejects[0]
            first = batch.line(index)[:80].decode("utf-8", "replace")
            self._log.error(SINK_LINES_REJECTED, lines=len(rejects), of=batch.lines, first=first, reason=why)
        try:
            if not self._outlet.confirm(batch, rejects, wait=False):
                await anyio.to_thread.run_sync(partial(self._outlet.confirm, batch, rejects, wait=True))
        except JournalError as error:
            # For example, the disk is full. The other side has the lines, and will accept them again.
            self.status.change("journal_unavailable", str(error))
            await self._pause(self._backoff.next_delay_s())
            return False
        return True

    def _recovered(self) -> None:
        if self.status.state != "connected":
            key, text = self._outlet.place
            self._log.info(SINK_AVAILABLE, **{key: text})
            self.status.change("connected", "")
            self._repeated.reset()
        self._failing_since_s = None
        self._backoff.reset()

    def _failed(self, outcome: Outcome) -> float:
        """Report a failure and return how long to wait, in seconds."""
        if outcome.result is not Result.FAILED:
            self._outages.interrupted()
        if self._failing_since_s is None:
            self._failing_since_s = time.monotonic()
            self.status.reconnects += 1
        delay_s = self._backoff.next_delay_s()
        if outcome.retry_after_s is not None:
            delay_s = min(max(outcome.retry_after_s, 0.1), LONGEST_RETRY_AFTER_S)
        refused = outcome.result is Result.REFUSED
        self.status.change("refused" if refused else "disconnected", outcome.error)
        if (extra := self._repeated.allows(outcome.error)) is not None:
            if refused:
                event = SINK_NOT_AUTHORIZED if outcome.not_authorized else SINK_REFUSED
                event = SINK_REFUSES_ALL if outcome.refuses_all else event
                self._log.error(event, error=outcome.error, retry_s=round(delay_s, 1), remedy=outcome.remedy, **extra)
            else:
                self._log.warning(SINK_UNAVAILABLE, error=outcome.error, retry_s=round(delay_s, 1), **extra)
        return delay_s

    def _unreadable(self, error: JournalError, delay_s: float) -> float:
        """Report that the journal could not be read, and return how long to wait, in seconds."""
        self.status.change("journal_unavailable", str(error))
        if (extra := self._unread.allows(str(error))) is not None:
            self._log.error(SINK_UNAVAILABLE, error=str(error), kind="journal_unavailable", retry_s=round(delay_s, 1), **extra)
        return delay_s

    def _outage_s(self) -> float:
        return 0.0 if self._failing_since_s is None else time.monotonic() - self._failing_since_s

    async def _pause(self, delay_s: float) -> None:
        with anyio.move_on_after(delay_s):
            await self._stopping.wait()
