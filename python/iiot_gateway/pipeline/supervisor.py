"""One task per source and per sink, and the order in which they start and stop.

Start: control socket, sinks, sources, READY. Stop (SIGINT, SIGTERM): sources, sync, sinks, journal. A stop takes less than five seconds;
after it, every accepted frame is either delivered or in the journal.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from anyio.abc import TaskStatus

from iiot_gateway._native import JournalError
from iiot_gateway.backoff import Backoff
from iiot_gateway.errors import GatewayError, RecordingUnreadable, SinkUnavailable
from iiot_gateway.log import (
    FRAMES_DROPPED,
    FRAMES_LOST,
    GATEWAY_STARTED,
    GATEWAY_STOPPED,
    GATEWAY_STOPPING,
    JOURNAL_NOT_READ,
    JOURNAL_NOT_SYNCED,
    JOURNAL_NOTE,
    SERVICE_FAILED,
    SINK_UNAVAILABLE,
    SOURCE_FAILED,
    Repeated,
    get_log,
)
from iiot_gateway.pipeline import control, systemd
from iiot_gateway.pipeline.status import StatusView
from iiot_gateway.pipeline.views import OpenHistory, Views
from iiot_gateway.sinks.base import Sink
from iiot_gateway.sources.base import Source

if TYPE_CHECKING:
    from iiot_gateway._native import Journal, Live
    from iiot_gateway.api.part import HttpPart

STOP_BUDGET_S = 4.5
SOURCE_STOP_S = 3.2
"""A little more than the time that a probe may take to end."""
SINK_STOP_S = 3.0
CLOSE_S = 0.7
SAMPLE_S = 10.0
NOTES_S = 0.5

INTAKE_LOST = ("intake", "journal_unavailable")

EXIT_DELIVERED = 0
EXIT_SINK_REJECTED = 3
EXIT_NOT_DONE = 4
EXIT_TORN = 5

SITE_CHUNKS = 256
"""The most chunks in one answer."""

Service = Callable[[Views], Coroutine[Any, Any, None]]


def _site(journal: Journal, origin: str, behind: tuple[str, int] | None) -> dict[str, Any] | None:
    counts = journal.status()["sites"].get(origin)
    if counts is None:
        return None
    found = journal.site_chunks(origin, behind=behind, limit=SITE_CHUNKS)
    chunks = [{"run": run, "number": number, "values": values.hex()} for run, number, values in found]
    following = f"{found[-1][0]}.{found[-1][1]}" if len(found) == SITE_CHUNKS else None
    return {"origin": origin, **counts, "chunks": chunks, "next": following}


class Gateway:
    """The running gateway."""

    def __init__(  # noqa: PLR0913 - the parts of a gateway, each by name
        self,
        journal: Journal,
        journal_path: str,
        sources: Sequence[Source],
        sinks: Sequence[Sink],
        *,
        commands: dict[str, control.Handler],
        services: Sequence[Service] = (),
        live: Live | None = None,
        open_history: OpenHistory | None = None,
        alerts: Callable[[], dict[str, Any]] | None = None,
        http_parts: Sequence[HttpPart] = (),
        refusals: Mapping[str, Callable[[], dict[str, int]]] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.view = StatusView(journal, sources, sinks, refusals, notes)
        self.views = Views(
            status=self.view,
            rejects=lambda limit: journal.rejects(limit=limit),
            site=partial(_site, journal),
            live=live,
            open_history=open_history,
            alerts=alerts,
            http_parts=http_parts,
        )
        self._journal = journal
        self._journal_path = journal_path
        self._sources = sources
        self._sinks = sinks
        self._commands = {"status": lambda _request: self.view.document(), **commands}
        self._services = services
        self._log = get_log()
        self._stopping = anyio.Event()
        self._sources_done = anyio.Event()
        self._not_taken_at_end: dict[str, int] = {}
        self._uncommitted = 0
        self._seen: dict[tuple[str, str], int] = {INTAKE_LOST: 0}

    async def run(self, *, once: bool = False, timeout_s: float | None = None) -> int:
        """Run until a signal. With `once`, run until every frame of the sources is delivered. Return the exit code."""
        ledger = await anyio.to_thread.run_sync(self._journal.status)
        before, self._seen = self._not_taken(ledger), _lost(ledger)
        code = EXIT_DELIVERED
        async with anyio.create_task_group() as tasks:
            await tasks.start(self._watch_signals)
            tasks.start_soon(control.serve, control.socket_path(self._journal_path), self._commands)
            tasks.start_soon(systemd.feed_watchdog)
            tasks.start_soon(self._again_and_again, self._sample, SAMPLE_S)
            tasks.start_soon(self._again_and_again, self._tell_notes, NOTES_S)
            for service in self._services:
                tasks.start_soon(self._keep_service, service)
            for sink in self._sinks:
                tasks.start_soon(self._keep_sink, sink)
            sources = anyio.CancelScope()
            tasks.start_soon(self._run_sources, sources)
            self._log.info(GATEWAY_STARTED, sources=[s.name for s in self._sources], sinks=[s.name for s in self._sinks])
            systemd.notify(systemd.READY)
            try:
                if once:
                    code = await self._until_delivered(timeout_s)
                else:
                    await self._stopping.wait()
            finally:
                with anyio.CancelScope(shield=True):
                    await self._stop(sources)
            tasks.cancel_scope.cancel()
        if once and code == EXIT_DELIVERED and self._uncommitted:
            code = EXIT_NOT_DONE
        if once and code == EXIT_DELIVERED and self._not_taken_at_end != before:
            code = EXIT_SINK_REJECTED
        if once and code == EXIT_DELIVERED and any(source.status.damage for source in self._sources):
            code = EXIT_TORN
        self._log.info(GATEWAY_STOPPED)
        return code

    async def _watch_signals(self, *, task_status: TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for number in signals:
                self._log.info(GATEWAY_STOPPING, signal=signal.Signals(number).name)
                self._stopping.set()

    async def _run_sources(self, scope: anyio.CancelScope) -> None:
        try:
            with scope:
                async with anyio.create_task_group() as tasks:
                    for source in self._sources:
                        tasks.start_soon(self._keep_source, source)
        finally:
            self._sources_done.set()

    async def _keep_service(self, service: Service) -> None:
        """Run a service. A fault in its code ends only this service."""
        try:
            await service(self.views)
        except GatewayError:
            raise
        except Exception:
            self._log.exception(SERVICE_FAILED, service=getattr(service, "__qualname__", repr(service)))

    async def _keep_source(self, source: Source) -> None:
        """Run a source. After a fault in its code, start it again. Only an unreadable recording ends the gateway."""
        backoff = Backoff()
        while True:
            began_s = time.monotonic()
            try:
                await source.run()
            except RecordingUnreadable:
                raise
            except Exception as error:
                source.status.change(get_log(source=source.name), "failed", repr(error)[:200], bad=True)
                self._log.exception(SOURCE_FAILED, source=source.name)
                source.status.restarts += 1
                await anyio.sleep(backoff.next_delay_s(time.monotonic() - began_s))
            else:
                return

    async def _keep_sink(self, sink: Sink) -> None:
        """Run a sink. After a fault in its code, start it again. Only SinkUnavailable ends the gateway."""
        backoff = Backoff()
        while not self._stopping.is_set():
            began_s = time.monotonic()
            try:
                await sink.run()
            except SinkUnavailable:
                raise
            except Exception as error:
                sink.status.change("failed", repr(error)[:200])
                self._log.exception(SINK_UNAVAILABLE, sink=sink.name)
                await anyio.sleep(backoff.next_delay_s(time.monotonic() - began_s))
            else:
                return

    async def _until_delivered(self, timeout_s: float | None) -> int:
        with anyio.move_on_after(timeout_s) as limit:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._cancel_on_stop, tasks.cancel_scope)
                await self._sources_done.wait()
                while not await anyio.to_thread.run_sync(self._journal.sync, 0.5):
                    pass
                while not await anyio.to_thread.run_sync(self._journal.wait_delivered, 0.5):
                    pass
                tasks.cancel_scope.cancel()
        return EXIT_NOT_DONE if limit.cancelled_caught or self._stopping.is_set() else EXIT_DELIVERED

    async def _cancel_on_stop(self, scope: anyio.CancelScope) -> None:
        await self._stopping.wait()
        scope.cancel()

    async def _stop(self, sources: anyio.CancelScope) -> None:
        deadline_s = time.monotonic() + STOP_BUDGET_S
        self._stopping.set()
        systemd.notify(systemd.STOPPING)
        sources.cancel()
        with anyio.move_on_after(SOURCE_STOP_S):
            await self._sources_done.wait()
        if not await anyio.to_thread.run_sync(self._journal.sync, max(0.2, min(1.0, deadline_s - time.monotonic() - CLOSE_S))):
            self._log.error(JOURNAL_NOT_SYNCED, consequence="what came last may be lost if the power fails now")
        left_s = max(0.2, min(SINK_STOP_S, deadline_s - time.monotonic() - CLOSE_S))
        with anyio.move_on_after(left_s + 0.2):
            async with anyio.create_task_group() as tasks:
                for sink in self._sinks:
                    tasks.start_soon(sink.stop, left_s)
        ledger = await anyio.to_thread.run_sync(self._journal.status)
        close: Callable[[float], int | None] = self._journal.close
        if uncommitted := await anyio.to_thread.run_sync(close, CLOSE_S):
            self._log.error(FRAMES_LOST, at="intake", frames=uncommitted, reason="never_committed")
            self._uncommitted = uncommitted
            self._seen[INTAKE_LOST] += uncommitted
        await self._tell_notes()
        closed = await anyio.to_thread.run_sync(self._ledger_of_closed)
        ledger = closed or ledger
        self._tell_losses(ledger)
        self._not_taken_at_end = self._not_taken(ledger)

    def _ledger_of_closed(self) -> dict[str, Any] | None:
        """Read the ledger after the last commits. Return None if it cannot be read, for example because the disk is full."""
        try:
            return self._journal.inspect(self._journal_path)
        except JournalError as error:
            self._log.warning(JOURNAL_NOT_READ, error=str(error))
            return None

    def _not_taken(self, ledger: dict[str, Any]) -> dict[str, int]:
        """Return the number of frames that each sink has rejected or dropped."""
        sinks: dict[str, Any] = ledger["sinks"]
        return {sink.name: sum(sinks.get(sink.name, {}).get(key, 0) for key in ("rejected", "dropped")) for sink in self._sinks}

    async def _again_and_again(self, look: Callable[[], Coroutine[Any, Any, None]], every_s: float) -> None:
        """Call `look` until cancelled. Log a failure and try again: an error in a report must not end the gateway."""
        repeated = Repeated()
        while True:
            try:
                await look()
            except Exception as error:
                if (extra := repeated.allows(str(error))) is not None:
                    self._log.warning(JOURNAL_NOT_READ, error=str(error) or repr(error), **extra)
            await anyio.sleep(every_s)

    async def _tell_notes(self) -> None:
        """Log the notes of the journal, such as a full disk or a clock that was set back."""
        for note in self._journal.notes():
            self._log.warning(JOURNAL_NOTE, note=note)

    async def _sample(self) -> None:
        """Update the rate of the last minute, and log the frames that were lost since the last sample."""
        self._tell_losses(await anyio.to_thread.run_sync(self.view.document))

    def _tell_losses(self, ledger: dict[str, Any]) -> None:
        """Log an error for the frames that were lost since the last call."""
        counts = _lost(ledger)
        for (name, reason), count in counts.items():
            new = count - self._seen.get((name, reason), 0)
            if new > 0:
                self._log.error(FRAMES_LOST if name == INTAKE_LOST[0] else FRAMES_DROPPED, at=name, frames=new, reason=reason)
        self._seen = counts


def _lost(ledger: dict[str, Any]) -> dict[tuple[str, str], int]:
    """Return the number of lost frames by place and reason."""
    counts = {INTAKE_LOST: int(ledger["intake"].get("lost_journal_unavailable", 0))}
    for name, sink in ledger["sinks"].items():
        counts |= {(name, reason): int(count) for reason, count in sink.get("dropped_reasons", {}).items()}
    return counts
