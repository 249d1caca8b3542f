"""The history sink: writes points from the journal to a file on this machine, and confirms each batch when the file has it.

The sink makes one call into the extension per batch, on a thread of its own. If the file cannot be used (because it is damaged, of a
later version, or on a full disk), the sink tries again and again. Its frames wait in the journal meanwhile, and no other sink notices.
"""

from __future__ import annotations

import time

import anyio
import anyio.to_thread

from iiot_gateway._native import HistoryError, JournalError
from iiot_gateway._native import HistorySink as NativeHistorySink
from iiot_gateway.backoff import Backoff
from iiot_gateway.config.keys import DAY_S
from iiot_gateway.log import HISTORY_PRUNED, SINK_AVAILABLE, SINK_UNAVAILABLE, Repeated, get_log
from iiot_gateway.sinks.base import SinkStatus
from iiot_gateway.sinks.history.section import HistorySection

MAX_BATCH_POINTS = 50_000
WAIT_FOR_FRAME_MS = 1000
SIZE_EVERY_S = 10.0
REMEDY = {
    "unknown_version": "read the detail; the frames wait in the journal",
    "damaged": "move the file and its -wal file away to begin anew; the frames wait in the journal",
    "full": "make room on the disk; the frames wait in the journal",
    "busy": "give each history a path of its own",
    "io": "check path and rights; the frames wait in the journal",
}


class HistorySink:
    """Writes one file."""

    kind = "history"

    def __init__(self, name: str, section: HistorySection, path: str, native: NativeHistorySink, *, backoff: Backoff | None = None) -> None:
        self.name = name
        self.status = SinkStatus()
        self._section = section
        self._path = path
        self._native = native
        self._backoff = backoff or Backoff()
        self._stopping = anyio.Event()
        self._done = anyio.Event()
        # The sink has a thread of its own, because that thread waits for frames as long as the gateway runs.
        self._thread = anyio.CapacityLimiter(1)
        self._log = get_log(sink=name)
        self._repeated = Repeated()
        # Checking a whole large file takes minutes, so it happens once per run, and again after damage was found.
        self._checked = False
        self._pruned = 0
        self._measured_s = float("-inf")

    async def run(self) -> None:
        """Open the file and store points until `stop`. After any failure, begin again at the sink's position in the journal."""
        try:
            while not self._stopping.is_set():
                try:
                    await self._store()
                except (HistoryError, JournalError) as error:
                    await self._pause(self._failed(error))
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._native.close)
            self._done.set()
        self.status.change("stopped")

    async def stop(self, timeout_s: float) -> None:
        """Let the batch under way be stored. An unconfirmed batch is stored again at the next start, which changes nothing."""
        self._stopping.set()
        self._native.cancel()
        with anyio.move_on_after(timeout_s):
            await self._done.wait()

    async def _store(self) -> None:
        self.status.change("connecting")
        await anyio.to_thread.run_sync(self._open, limiter=self._thread)
        self._log.info(SINK_AVAILABLE, path=self._path)
        self.status.change("connected", "")
        while not self._stopping.is_set():
            done = await anyio.to_thread.run_sync(self._deliver, limiter=self._thread)
            if done is not None:
                self._backoff.reset()
                self._repeated.reset()
                self._count(done)
            await self._measure()

    def _open(self) -> None:
        section = self._section
        max_age_s = section.max_age_d * DAY_S
        self._native.open(self._path, max_age_s=max_age_s, max_bytes=section.max_bytes, check=not self._checked)
        self._checked = True

    def _deliver(self) -> dict[str, int] | None:
        return self._native.deliver(max_points=MAX_BATCH_POINTS, linger_ms=self._section.commit_interval_ms, timeout_ms=WAIT_FOR_FRAME_MS)

    def _count(self, done: dict[str, int]) -> None:
        if done["pruned"]:
            self._pruned += done["pruned"]
            self._log.info(HISTORY_PRUNED, points=done["pruned"], path=self._path)
        self.status.details["pruned_points"] = self._pruned

    async def _measure(self) -> None:
        """Measure series, points and bytes for the status, but not at every batch."""
        if time.monotonic() - self._measured_s < SIZE_EVERY_S:
            return
        self._measured_s = time.monotonic()
        size = await anyio.to_thread.run_sync(self._native.size, limiter=self._thread)
        if size is not None:
            self.status.details.update(size)

    def _failed(self, error: HistoryError | JournalError) -> float:
        """Report a failure and return how long to wait, in seconds."""
        delay_s = self._backoff.next_delay_s()
        kind = error.kind if isinstance(error, HistoryError) else "journal_unavailable"
        if kind == "damaged":
            self._checked = False
        self.status.reconnects += 1
        self.status.change("disconnected", f"{kind}: {error}")
        if (extra := self._repeated.allows(kind)) is not None:
            remedy = REMEDY.get(kind, "read the detail; the frames wait in the journal")
            self._log.error(SINK_UNAVAILABLE, error=str(error), kind=kind, remedy=remedy, retry_s=round(delay_s, 1), **extra)
        return delay_s

    async def _pause(self, delay_s: float) -> None:
        with anyio.move_on_after(delay_s):
            await self._stopping.wait()
