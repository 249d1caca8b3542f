"""Writes lines to a descriptor on a thread of its own. Callers never wait for the reader, and never get its errors.

Lines that cannot be written are counted. The disk may be full, the descriptor closed, or the reader of a pipe gone or slow.
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
"""The most bytes that wait for a slow reader; a line that does not fit is lost."""
MAX_QUEUED_BEFORE_DRAWING_BYTES = 4096
"""If more bytes than this are queued, a drawing would be out of date when it is shown."""
FINISH_S = 1.0
"""How long `finish` waits for a reader that takes nothing at all, in seconds."""
FINISH_AT_MOST_S = 5.0
"""How long `finish` waits for a slow reader, in seconds."""


class LineWriter:
    """A bounded queue in front of a descriptor. Lines are written in the order in which they came."""

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
        """The number of lines that could not be written."""
        return self._lost

    def line(self, text: str) -> None:
        """Queue a line. Returns at once, whatever the descriptor does."""
        self._put(self._encoded(text + "\n"), MAX_QUEUED_BYTES, is_line=True)

    def draw(self, text: str) -> None:
        """Queue text that only updates a display. The text is left out, and not counted, while the reader is behind."""
        self._put(self._encoded(text), MAX_QUEUED_BEFORE_DRAWING_BYTES, is_line=False)

    def stream(self) -> TextIO:
        """Return a text stream into the queue, for code that writes directly to standard error, such as warnings and libraries."""
        return io.TextIOWrapper(_Queued(self._descriptor, self._put), self._encoding, "backslashreplace", write_through=True)

    def finish(self) -> bool:
        """Wait until everything is written. Return False after `FINISH_S` without progress, or after `FINISH_AT_MOST_S`."""
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
            # An empty queue accepts a line of any length.
            if self._queue and self._queued_bytes + len(data) > limit_bytes:
                self._lost += is_line
                return
            self._queue.append((data, is_line))
            self._queued_bytes += len(data)
            if self._thread is None:
                # Started only now, because many commands write no line. A daemon, so that a stuck reader cannot keep the process alive.
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
                # The line stays in the queue until it is written, so that `finish` waits for it and its size counts.
                self._queue.popleft()
                self._queued_bytes -= len(data)
                self._lost += is_line and not is_whole
                self._changed.notify_all()

    def _write(self, data: bytes) -> bool:
        """Write a whole line; return False on failure. After a torn line, begin a new one."""
        rest = memoryview(b"\n" + data if self._is_torn else data)
        is_begun = False
        while rest:
            try:
                count = os.write(self._descriptor, rest)
            except BlockingIOError:
                # Another program shares the open file and has made it non-blocking.
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
    """Behaves like the descriptor, except that writing goes into the queue."""

    def __init__(self, descriptor: int, put: Callable[..., None]) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._put = put

    def write(self, data: Any, /) -> int:
        self._put(bytes(data), MAX_QUEUED_BYTES, is_line=True)
        return len(data)
