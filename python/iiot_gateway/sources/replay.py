"""The replay source: plays a recorded log at N times its speed, or as fast as the journal accepts it. It continues where it was stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Protocol

import anyio
import anyio.to_thread

from iiot_gateway.errors import RecordingInvalid, RecordingUnreadable
from iiot_gateway.log import RECORDING_TORN, RECORDING_WITHOUT_DOCUMENTS, SOURCE_FINISHED, get_log
from iiot_gateway.sources.base import Intake, SourceStatus
from iiot_gateway.sources.recorded_file import RecordedFile, is_stream

MESSAGES_AT_ONCE = 256


class RecordingIntake(Intake, Protocol):
    """The intake of a recording."""

    @property
    def resume_offset(self) -> int:
        """How many bytes of the stream need not be played again."""

    @property
    def finished(self) -> bool:
        """Whether the recording was played to its end before."""

    def skip(self, chunk: bytes, /) -> None:
        """Take bytes that come before the pushed ones and need not be played again."""

    def push_message(self, topic: bytes, document: bytes, received_at_ns: int, settled: int, /) -> None:
        """Take a message with its topic; `settled` is the offset behind the message."""

    def finish(self, received_at_ns: int, /) -> int:
        """End the stream."""


class Pacer(Protocol):
    """Cuts chunks at documents, and returns their node times."""

    def skip(self, chunk: bytes, /) -> None:
        """Take bytes that come before the pushed ones."""

    def push(self, chunk: bytes, /) -> list[tuple[int, int]]:
        """Return (end offset, milliseconds since the first document) per document."""


class ReplaySource:
    """Plays one recorded file once."""

    kind = "replay"

    def __init__(self, name: str, path: str, intake: RecordingIntake, *, speed: float | None = None, pacer: Pacer | None = None) -> None:
        """Play at `speed` times real time; None is as fast as possible. The pacer reads node times, for files without arrival times."""
        self.name = name
        self._path = path
        self.status = SourceStatus()
        self.file = RecordedFile(path)
        self._intake = intake
        self._speed = speed
        self._pacer = pacer
        self._log = get_log(source=name)
        self._clock: _PlayClock | None = None

    async def run(self) -> None:
        """Play to the end. Cancelling loses nothing, because the journal knows the position."""
        try:
            if self._intake.finished:
                self.status.change(self._log, "finished", "was played to its end before; --from-start plays it again")
                return
            resumed = self._intake.resume_offset
            self.status.change(self._log, "running", f"resumed at byte {resumed}" if resumed else "")
            # A stream may never give its first bytes, or any later ones.
            if await anyio.to_thread.run_sync(self._has_topics, abandon_on_cancel=True):
                await self._play_messages()
            else:
                await self._play(self.file.chunks(self._intake.resume_offset, self._skip))
            self.status.documents += self._intake.finish(time.time_ns())
            if self.file.damage:
                self.status.damage = self.file.damage
                self._log.warning(RECORDING_TORN, detail=self.file.damage)
            elif not self.status.documents and not self._intake.resume_offset and (self.status.bytes or not is_stream(self._path)):
                # For a stream, unlike a file, it is no fault to be empty.
                self.status.damage = self.file.without_documents(self.status.bytes)
                self._log.warning(RECORDING_WITHOUT_DOCUMENTS, file=self._path, detail=self.status.damage)
            self.status.change(self._log, "finished", self.status.damage)
            self._log.info(SOURCE_FINISHED, bytes=self.status.bytes, documents=self.status.documents)
        finally:
            self.file.close()

    def progress(self) -> tuple[int, int] | None:
        """Return (bytes of the file read, its size, 0 if unknown); None after the end."""
        return None if self.status.state == "finished" else (self.file.position_bytes(), self.file.size_bytes)

    async def _play(self, chunks: Iterator[tuple[int | None, bytes]]) -> None:
        # A read of standard input may never return; after a cancellation its thread is abandoned.
        while (item := await anyio.to_thread.run_sync(self._next, chunks, abandon_on_cancel=True)) is not None:
            arrival_ns, chunk = item
            if not chunk:
                self.status.change(self._log, "waiting_for_disk", "the journal's disk is full or slow", bad=True)
                continue
            self.status.change(self._log, "running")
            if self._speed is None:
                self._push(chunk, arrival_ns)
            elif arrival_ns is not None:
                await self._until(arrival_ns / 1e6)
                self._push(chunk, arrival_ns)
            else:
                await self._in_pieces(chunk)

    async def _play_messages(self) -> None:
        messages = self.file.messages(self._intake.resume_offset)
        while (item := await anyio.to_thread.run_sync(self._next_message, messages, abandon_on_cancel=True)) is not None:
            if not item:
                self.status.change(self._log, "waiting_for_disk", "the journal's disk is full or slow", bad=True)
                continue
            self.status.change(self._log, "running")
            for arrival_ns, topic, payload, end in item:
                if self._speed is not None:
                    await self._until(arrival_ns / 1e6)
                self._intake.push_message(topic, payload, arrival_ns, end)
                self.status.received(len(payload), 1)

    def _next_message(self, messages: Iterator[tuple[int, bytes, bytes, int]]) -> list[tuple[int, bytes, bytes, int]] | None:
        """Wait for room, then read messages: several if they need not be in time. An empty list means that there is no room yet."""
        if not self._intake.wait_room(1.0):
            return []
        with self._reading():
            return list(islice(messages, MESSAGES_AT_ONCE if self._speed is None else 1)) or None

    def _next(self, chunks: Iterator[tuple[int | None, bytes]]) -> tuple[int | None, bytes] | None:
        """Wait for room, then read a chunk, with one change of threads per chunk. An empty chunk means that there is no room yet."""
        if not self._intake.wait_room(1.0):
            return None, b""
        with self._reading():
            return next(chunks, None)

    def _has_topics(self) -> bool:
        with self._reading():
            return self.file.has_topics()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Add the name of the file to errors while reading it."""
        try:
            yield
        except RecordingInvalid as error:
            raise RecordingUnreadable(f"{self._path}: {error}") from error
        except OSError as error:
            raise RecordingUnreadable(f"{self._path} cannot be read any further: {error.strerror or error}") from error

    def _skip(self, chunk: bytes) -> None:
        self._intake.skip(chunk)
        if self._pacer:
            self._pacer.skip(chunk)

    async def _in_pieces(self, chunk: bytes) -> None:
        at = 0
        for end, node_ms in self._pacer.push(chunk) if self._pacer else ():
            await self._until(float(node_ms))
            self._push(chunk[at:end], None)
            at = end
        if at < len(chunk):
            self._push(chunk[at:], None)

    async def _until(self, recorded_ms: float) -> None:
        if self._clock is None:
            self._clock = _PlayClock(recorded_ms, time.monotonic(), self._speed or 1.0)
        await anyio.sleep(self._clock.wait_s(recorded_ms, time.monotonic()))

    def _push(self, chunk: bytes, arrival_ns: int | None) -> None:
        self.status.received(len(chunk), self._intake.push(chunk, time.time_ns() if arrival_ns is None else arrival_ns))


class _PlayClock:
    """Compares recorded time with the monotonic clock."""

    def __init__(self, recorded_ms: float, now_s: float, speed: float) -> None:
        self._first_ms = recorded_ms
        self._began_s = now_s
        self._speed = speed

    def wait_s(self, recorded_ms: float, now_s: float) -> float:
        """Return how many seconds remain until this moment is due; never negative."""
        return max(0.0, self._began_s + (recorded_ms - self._first_ms) / 1000.0 / self._speed - now_s)
