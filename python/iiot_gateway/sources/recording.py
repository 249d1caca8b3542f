r"""The file that `record` writes and `replay` reads: raw bytes with their arrival times, or messages with their topics.

    iiot-recording 1 <name of the source>\n
    @<unix nanoseconds> <length>\n<length raw bytes>\n
    @...

    iiot-recording 2 <name of the source>\n
    @<unix nanoseconds> <length of topic> <length of payload>\n<topic><payload>\n
    @...

A full disk or a loss of power may cut the file anywhere. The reader gives all existing bytes, even of a partial last chunk, and reports
how many are missing.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

from iiot_gateway.errors import RecordingInvalid, RecordingUnwritable
from iiot_gateway.sources.base import Listener
from iiot_gateway.sources.descriptor import read_chunks

MAGIC = b"iiot-recording "
VERSION = 1
MESSAGES_VERSION = 2
_HEAD = re.compile(rb"@(\d{1,19}) (\d{1,10})\n")
_MESSAGE_HEAD = re.compile(rb"@(\d{1,19}) (\d{1,5}) (\d{1,10})\n")
_LONGEST_HEAD = 42
MAX_CHUNK_BYTES = 1 << 26
TAIL_BYTES = 4096


class MessageWriter:
    """Writes a recording of messages with their topics."""

    def __init__(self, file: BinaryIO, source: str) -> None:
        self._file = file
        self.bytes = 0
        self.chunks = 0
        self.last_at = 0.0
        file.write(_header(MESSAGES_VERSION, source))
        file.flush()

    def push(self, messages: list[tuple[bytes, bytes, int]]) -> None:
        """Write messages and flush them. Raises RecordingUnwritable."""
        try:
            for topic, payload, received_at_ns in messages:
                self._file.write(b"@%d %d %d\n%b%b\n" % (received_at_ns, len(topic), len(payload), topic, payload))
                self.bytes += len(payload)
                self.last_at = received_at_ns / 1e9
            self._file.flush()
        except OSError as error:
            raise RecordingUnwritable(f"the recording cannot be written any further: {error.strerror}") from error
        self.chunks += len(messages)


def _header(version: int, source: str) -> bytes:
    name = re.sub(r"[^\x21-\x7e]", "_", source) or "_"
    return MAGIC + f"{version} {name}\n".encode()


class RecordingWriter:
    """Writes a recording of bytes. It has the interface of an intake, so any live source can be recorded."""

    def __init__(self, file: BinaryIO, source: str) -> None:
        self._file = file
        self.bytes = 0
        self.chunks = 0
        self._last_at = 0.0
        self._tail = b""
        file.write(_header(VERSION, source))
        file.flush()

    def push(self, chunk: bytes, received_at_ns: int) -> int:
        """Write a chunk and flush it. Return 0, because documents are not counted here. Raises RecordingUnwritable."""
        try:
            self._file.write(b"@%d %d\n%b\n" % (received_at_ns, len(chunk), chunk))
            self._file.flush()
        except OSError as error:
            # Not raised as an OSError, which would mean a fault of the device that the bytes came from.
            raise RecordingUnwritable(f"the recording cannot be written any further: {error.strerror}") from error
        self.bytes += len(chunk)
        self.chunks += 1
        self._last_at = received_at_ns / 1e9
        self._tail = (self._tail + chunk)[-TAIL_BYTES:]
        return 0

    def read(self, descriptor: int, stop: int, listener: Listener | None = None) -> bytes:
        """Write all bytes from a descriptor until its other end, or that of `stop`, hangs up. Return the last bytes."""
        self._tail = b""

        def take(chunk: bytes) -> None:
            self.push(chunk, time.time_ns())
            if listener is not None:
                listener(chunk)

        read_chunks(descriptor, stop, take)
        return self._tail

    def traffic(self) -> tuple[int, float, int, float]:
        """Return the number of bytes, the time of the last ones, and no documents."""
        return self.bytes, self._last_at, 0, 0.0

    def wait_room(self, _timeout_s: float) -> bool:
        """Return True: there is room as long as the operating system takes the bytes."""
        return True

    def restart(self) -> None:
        """Do nothing: the arrival times show the gap."""


class RecordingReader:
    """Reads a recording from an open file, which must be at its beginning."""

    def __init__(self, file: BinaryIO | io.BufferedReader[Any]) -> None:
        self._file = file
        self.damage = ""
        """After the last chunk: the bytes that are missing, or that were left out."""
        header = file.readline(256)
        version, _, name = header.removeprefix(MAGIC).rstrip(b"\n").partition(b" ")
        if not header.startswith(MAGIC) or not header.endswith(b"\n"):
            raise RecordingInvalid("not a recording: the first line does not begin with 'iiot-recording'")
        if version not in (str(VERSION).encode(), str(MESSAGES_VERSION).encode()):
            raise RecordingInvalid(f"a recording of version {version[:20]!r}; this gateway reads versions {VERSION} and {MESSAGES_VERSION}")
        self.source = name.decode("ascii", "replace")
        self.has_topics = version == str(MESSAGES_VERSION).encode()
        """Whether the recording holds messages, which `messages` reads."""
        self._offset = len(header)

    def messages(self) -> Iterator[tuple[int, bytes, bytes, int]]:
        """Yield (arrival in Unix nanoseconds, topic, payload, offset behind the message) of every whole message."""
        while head := self._file.readline(_LONGEST_HEAD):
            match = _MESSAGE_HEAD.fullmatch(head)
            topic_length, length = (int(match[2]), int(match[3])) if match else (0, 0)
            if match is None or length > MAX_CHUNK_BYTES:
                self._leave_out(head)
                return
            message = self._file.read(topic_length + length + 1)
            if len(message) <= topic_length + length:
                self.damage = f"the last message is torn: {len(message)} of its {topic_length + length} bytes are there"
                return
            if not message.endswith(b"\n"):
                self._leave_out(head + message)
                return
            self._offset += len(head) + len(message)
            yield int(match[1]), message[:topic_length], message[topic_length:-1], self._offset

    def chunks(self) -> Iterator[tuple[int, bytes]]:
        """Yield (arrival in Unix nanoseconds, bytes) of every chunk, and the existing part of the last one."""
        while head := self._file.readline(_LONGEST_HEAD):
            match = _HEAD.fullmatch(head)
            length = int(match[2]) if match else 0
            if match is None or length > MAX_CHUNK_BYTES:
                self._leave_out(head)
                return
            chunk = self._file.read(length + 1)
            if len(chunk) <= length:
                self.damage = f"the last chunk is torn: {len(chunk)} of its {length} bytes are there"
                if chunk:
                    yield int(match[1]), chunk
                return
            if not chunk.endswith(b"\n"):
                self._leave_out(head + chunk)
                return
            yield int(match[1]), chunk[:-1]

    def _leave_out(self, seen: bytes) -> None:
        count = len(seen)
        while piece := self._file.read(65536):
            count += len(piece)
        self.damage = f"a chunk is damaged: it and what follows, {count} bytes, were left out"
