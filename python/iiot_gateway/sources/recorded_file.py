"""A recorded log as a stream of chunks: plain, gzip, or made by `record`; from a file or standard input.

All methods block and are called from a worker thread.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, cast

from iiot_gateway.errors import RecordingInvalid
from iiot_gateway.sources.recording import MAGIC, RecordingReader

CHUNK_BYTES = 262144
STANDARD_INPUT = "-"


def is_stream(path: str) -> bool:
    """Tell whether this can be read only once: standard input, a named pipe, a process substitution, a device."""
    return path == STANDARD_INPUT or not stat.S_ISREG(os.stat(path).st_mode)


def fingerprint(path: str) -> str:
    """Return the fingerprint of a file's content; a stream has none that could be taken and is the same each time."""
    if is_stream(path):
        return "standard-input"
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class RecordedFile:
    """Gives (arrival or None, bytes); arrival times are in files that `record` made."""

    def __init__(self, path: str) -> None:
        """Open the file. Raises OSError, and RecordingInvalid for a recording of an unknown version."""
        # Standard input is read as it comes: a large buffer, but one read a chunk.
        raw = io.FileIO(0, closefd=False) if path == STANDARD_INPUT else io.FileIO(path)
        self._raw = raw
        self.size_bytes = 0 if is_stream(path) else os.fstat(raw.fileno()).st_size
        buffered: io.BufferedReader[Any] = io.BufferedReader(raw, CHUNK_BYTES)
        if _begins(buffered, b"\x1f\x8b"):
            buffered = io.BufferedReader(cast("io.FileIO", gzip.GzipFile(fileobj=buffered)), CHUNK_BYTES)
        self._file: io.BufferedReader[Any] = buffered
        try:
            self._recording = RecordingReader(cast("BinaryIO", buffered)) if _begins(buffered, MAGIC) else None
        except (OSError, EOFError, zlib.error) as error:
            raise RecordingInvalid(f"damaged: {error}") from error
        self.damage = ""
        """After the last chunk: what was wrong with the end of the file."""

    @property
    def has_arrival_times(self) -> bool:
        """Whether `record` made the file."""
        return self._recording is not None

    def position_bytes(self) -> int:
        """How much of the file itself was read, for a progress bar."""
        try:
            return self._raw.tell()
        except (OSError, ValueError):  # a pipe has no position, a closed file neither
            return 0

    def chunks(self, skip_bytes: int = 0, skipped: Callable[[bytes], object] = lambda _chunk: None) -> Iterator[tuple[int | None, bytes]]:
        """Give the stream without its first bytes; those are shown to `skipped`."""
        try:
            for arrival, chunk in self._all():
                if skip_bytes:
                    skipped(chunk[:skip_bytes])
                if skip_bytes >= len(chunk):
                    skip_bytes -= len(chunk)
                    continue
                yield arrival, chunk[skip_bytes:]
                skip_bytes = 0
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            self.damage = f"the file is cut or damaged: {error}"
        if self._recording is not None and self._recording.torn_bytes:
            self.damage = f"the last chunk is torn; {self._recording.torn_bytes} bytes were left out"

    def _all(self) -> Iterator[tuple[int | None, bytes]]:
        if self._recording is not None:
            yield from self._recording.chunks()
            return
        while chunk := self._file.read1(CHUNK_BYTES):
            yield None, chunk

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._raw.close()


def _begins(file: io.BufferedReader[Any], magic: bytes) -> bool:
    """Look ahead; a pipe that gave less than the magic so far is taken for plain text."""
    return file.peek(len(magic))[: len(magic)] == magic
