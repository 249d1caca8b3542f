"""A recorded log as a stream of chunks: plain, gzip, UTF-16, or made by `record`; from a file or standard input.

All methods block and are called from a worker thread.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import select
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, cast

from iiot_gateway.errors import RecordingInvalid
from iiot_gateway.sources import recoded, unpacked
from iiot_gateway.sources.first_bytes import SHOWN_BYTES, what_it_is
from iiot_gateway.sources.recording import MAGIC, RecordingReader

CHUNK_BYTES = 262144
STANDARD_INPUT = "-"


def is_stream(path: str) -> bool:
    """Return whether a path can be read only once: standard input, a named pipe, a process substitution or a device."""
    return path == STANDARD_INPUT or not stat.S_ISREG(os.stat(path).st_mode)


def fingerprint(path: str) -> str:
    """Return the fingerprint of a file's content. A stream has a constant text instead, because its content is not known yet."""
    if is_stream(path):
        return "standard-input"
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Stream(io.RawIOBase):
    """A descriptor that may never give data. `stop`, from any thread, ends a waiting read as if the stream had ended."""

    def __init__(self, descriptor: int, *, is_ours: bool) -> None:
        self._descriptor = descriptor
        self._is_ours = is_ours
        self._stopped, self._stop = os.pipe()
        self._poll = select.poll()
        for watched in (descriptor, self._stopped):
            self._poll.register(watched, select.POLLIN)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        ready = {descriptor for descriptor, _events in self._poll.poll()}
        return 0 if self._stopped in ready else os.readv(self._descriptor, [buffer])

    def stop(self) -> None:
        os.write(self._stop, b"x")

    def close(self) -> None:
        if not self.closed:
            for descriptor in (self._stopped, self._stop, *([self._descriptor] if self._is_ours else [])):
                os.close(descriptor)
        super().close()


class RecordedFile:
    """Yields (arrival or None, bytes). Only files that `record` made have arrival times."""

    def __init__(self, path: str) -> None:
        """Open the file, without waiting for a stream. Raises OSError, and RecordingInvalid for a recording of an unknown version."""
        # A stream is read as its data comes: with a large buffer, but one read per chunk.
        self._stream = None
        if path != STANDARD_INPUT and os.path.isdir(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if path == STANDARD_INPUT:
            self._stream = _Stream(0, is_ours=False)
        elif is_stream(path):
            # A pipe's writer may come later.
            self._stream = _Stream(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), is_ours=True)
        raw = self._stream or io.FileIO(path)
        self._raw = raw
        self.size_bytes = 0 if self._stream else os.fstat(raw.fileno()).st_size
        self._file: io.BufferedReader[Any] = io.BufferedReader(raw, CHUNK_BYTES)
        self._unpacked: unpacked.Unpacked | None = None
        self._recording: RecordingReader | None = None
        self.damage = ""
        """After the last chunk: the part of the file that could not be read, and where the damage is."""
        self._is_known = False
        self._beginning = b""
        self._position_bytes = 0
        if self._stream is None:
            self._look()

    def _look(self) -> None:
        """Find out the type of the file from its first bytes."""
        if _begins(self._file, unpacked.MAGIC):
            self._unpacked = unpacked.Unpacked(self._file)
            self._file = io.BufferedReader(cast("io.FileIO", self._unpacked), CHUNK_BYTES)
        self._beginning = self._file.peek(SHOWN_BYTES)[:SHOWN_BYTES]
        if self._beginning.startswith(recoded.MARKS) and not self._beginning.startswith(recoded.LONGER_MARK):
            self._file = io.BufferedReader(cast("io.FileIO", recoded.Recoded(self._file)), CHUNK_BYTES)
        if _begins(self._file, MAGIC):
            self._recording = RecordingReader(self._file)
        self._is_known = True

    def without_documents(self, count: int) -> str:
        """Return the likely reason why `read_bytes` bytes held no document."""
        if not count and not self.damage:
            return "is empty"
        what = what_it_is(self._beginning)
        return f"holds no document in its {count} bytes" + (f"; it {what}" if what else "")

    def position_bytes(self) -> int:
        """How many bytes of the file itself were read, for a progress bar."""
        if not self._raw.closed:
            # A pipe has no position.
            with suppress(OSError):
                self._position_bytes = self._raw.tell()
        return self._position_bytes

    def chunks(self, skip_bytes: int = 0, skipped: Callable[[bytes], object] = lambda _chunk: None) -> Iterator[tuple[int | None, bytes]]:
        """Yield the stream without its first bytes, which go to `skipped`. Raises OSError, and RecordingInvalid if the path is no file."""
        for arrival, chunk in self._all():
            if skip_bytes:
                skipped(chunk[:skip_bytes])
            if skip_bytes >= len(chunk):
                skip_bytes -= len(chunk)
                continue
            yield arrival, chunk[skip_bytes:]
            skip_bytes = 0
        self.damage = "; ".join(part.damage for part in (self._unpacked, self._recording) if part is not None and part.damage)

    def has_topics(self) -> bool:
        """Return whether the file holds messages with topics, for `messages`. With a stream, this waits for the first bytes."""
        if not self._is_known:
            self._look()
        return self._recording is not None and self._recording.has_topics

    def messages(self, skip_bytes: int = 0) -> Iterator[tuple[int, bytes, bytes, int]]:
        """Yield (arrival, topic, payload, offset behind the message) of the messages behind an offset. Raises OSError."""
        if self._recording is not None:
            for message in self._recording.messages():
                if message[3] > skip_bytes:
                    yield message
        self.damage = "; ".join(part.damage for part in (self._unpacked, self._recording) if part is not None and part.damage)

    def _all(self) -> Iterator[tuple[int | None, bytes]]:
        if not self._is_known:
            self._look()
        if self._recording is not None and self._recording.has_topics:
            raise RecordingInvalid("a recording of messages with topics, and no stream of bytes")
        if self._recording is not None:
            yield from self._recording.chunks()
            return
        while chunk := self._file.read1(CHUNK_BYTES):
            yield None, chunk

    def close(self) -> None:
        """Close the file. A read that waits for a stream ends at once."""
        self.position_bytes()
        if self._stream is not None and not self._stream.closed:
            self._stream.stop()
        self._file.close()
        self._raw.close()


def _begins(file: io.BufferedReader[Any], magic: bytes) -> bool:
    """Look ahead. A pipe that has given fewer bytes than the magic counts as plain text."""
    return file.peek(len(magic))[: len(magic)] == magic
