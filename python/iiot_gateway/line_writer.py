"""Writes lines to a descriptor from a thread of its own: callers never wait for the reader and never see its faults.

A full disk, a closed descriptor, a pipe whose reader ended or does not read: the lines that could not be written are counted.
"""

from __future__ import annotations

import io
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TextIO

MAX_QUEUED_BYTES = 1 << 20
"""How much waits for a slow reader; a line that does not fit is lost."""
MAX_QUEUED_BEFORE_DRAWING_BYTES = 4096
"""Behind more than this a drawing would be out of date when it is shown."""
FINISH_S = 1.0
"""How long a stop waits for a reader that takes nothing at all."""
FINISH_AT_MOST_S = 5.0
"""How long it waits for one that is slow."""


class LineWriter:
    """A bounded queue in front of a descriptor. What is written leaves in the order in which it came."""

    def __init__(self, descriptor: int, encoding: str = "utf-8") -> None:
        self._descriptor = descriptor
        self._encoding = encoding
        self._changed = threading.Condition()
        self._queue: deque[tuple[bytes, bool]] = deque()
        self._queued_bytes = 0
        self._written_bytes = 0
        self._lost = 0
        self._is_torn = False
        self._thread: threading.Thread | None = None

    @property
    def lines_lost(self) -> int:
        """How many lines could not be written."""
        return self._lost

    def line(self, text: str) -> None:
        """Take a line; at once, whatever the descriptor does."""
        self._put(self._encoded(text + "\n"), MAX_QUEUED_BYTES, is_line=True)

    def draw(self, text: str) -> None:
        """Take what only moves a display on: it is left out, and not counted, while the reader is behind."""
        self._put(self._encoded(text), MAX_QUEUED_BEFORE_DRAWING_BYTES, is_line=False)

    def stream(self) -> TextIO:
        """Return a text stream into the queue, for code that writes directly to standard error: warnings, other libraries."""
        return io.TextIOWrapper(_Queued(self._descriptor, self._put), self._encoding, "backslashreplace", write_through=True)

    def finish(self) -> bool:
        """Wait until everything is written; False if the reader has taken nothing for `FINISH_S`, or too little for `FINISH_AT_MOST_S`."""
        until = time.monotonic() + FINISH_AT_MOST_S
        with self._changed:
            while self._queue:
                before = self._progress()
                patience_s = min(FINISH_S, until - time.monotonic())
                if not self._changed.wait_for(lambda: self._progress() != before, patience_s):  # noqa: B023 - called before the next turn
                    return False
        return True

    def _progress(self) -> tuple[int, int]:
        return self._written_bytes, len(self._queue)

    def _encoded(self, text: str) -> bytes:
        return text.encode(self._encoding, "backslashreplace")

    def _put(self, data: bytes, limit_bytes: int, *, is_line: bool) -> None:
        with self._changed:
            # A line of any length goes into an empty queue.
            if self._queue and self._queued_bytes + len(data) > limit_bytes:
                self._lost += is_line
                return
            self._queue.append((data, is_line))
            self._queued_bytes += len(data)
            if self._thread is None:
                # Not before the first line, because many commands write none. A reader that takes nothing must not keep the process alive.
                self._thread = threading.Thread(target=self._run, name="lines", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._queue))
                data, is_line = self._queue[0]
            is_whole = self._write(data)
            with self._changed:
                # It stays in the queue until it is written: `finish` waits for it, and it takes its room.
                self._queue.popleft()
                self._queued_bytes -= len(data)
                self._lost += is_line and not is_whole
                self._changed.notify_all()

    def _write(self, data: bytes) -> bool:
        """Write all of it; False if that failed. What follows a torn line begins on a line of its own."""
        rest = memoryview(b"\n" + data if self._is_torn else data)
        is_begun = False
        while rest:
            try:
                count = os.write(self._descriptor, rest)
            except BlockingIOError:
                # Another program made the open file that is shared with us non-blocking.
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll()
                continue
            except OSError:
                self._is_torn = self._is_torn or is_begun
                return False
            is_begun = True
            rest = rest[count:]
            with self._changed:
                self._written_bytes += count
                self._changed.notify_all()
        self._is_torn = False
        return True


class _Queued(io.FileIO):
    """The descriptor, but for writing."""

    def __init__(self, descriptor: int, put: Callable[..., None]) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._put = put

    def write(self, data: Any, /) -> int:
        self._put(bytes(data), MAX_QUEUED_BYTES, is_line=True)
        return len(data)
