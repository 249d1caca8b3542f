"""RTT without a probe: the channels of a firmware in QEMU, read out of the machine's memory while it runs.

    control block   "SEGGER RTT" and zeros: 16   up channels: 4   down channels: 4   channels, 24 bytes each
    channel         name: 4   buffer: 4   size: 4   write offset: 4   read offset: 4   flags: 4

Only the firmware moves the write offset of an up channel, and only the reader its read offset.
"""

from __future__ import annotations

import json
import os
import re
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from iiot_gateway.errors import GatewayError

RAM_START = 0x20000000
RAM_BYTES = 128 * 1024
ID = b"SEGGER RTT".ljust(16, b"\0")
CHANNEL = struct.Struct("<6I")
HEADER = struct.Struct("<16s2I")
MAX_CHANNELS = 16
SYMBOL = b"_SEGGER_RTT"


@dataclass(frozen=True, slots=True)
class UpChannel:
    """A channel from the firmware to the host."""

    name: str
    at: int
    """The address of the channel in the machine's memory."""
    buffer: int
    size: int


class Memory:
    """The RAM of a machine, through its process."""

    def __init__(self, pid: int, host_address: int) -> None:
        self._descriptor = os.open(f"/proc/{pid}/mem", os.O_RDWR)
        self._offset = host_address - RAM_START

    def read(self, address: int, length: int) -> bytes:
        """Read at a guest address. Raises OSError when the machine is gone, ValueError outside of its RAM."""
        if not RAM_START <= address <= address + length <= RAM_START + RAM_BYTES:
            raise ValueError(f"{address:#x} does not lie in RAM")
        return os.pread(self._descriptor, length, self._offset + address)

    def write(self, address: int, data: bytes) -> None:
        """Write at a guest address. Raises OSError when the machine is gone."""
        os.pwrite(self._descriptor, data, self._offset + address)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        """Nothing more to do."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Let go of it."""
        self.close()


def ram_of(qmp: Path) -> int:
    """Ask the machine's monitor where its RAM lies in its process. Raises GatewayError."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(qmp))
        stream = connection.makefile("rw", encoding="utf-8")
        stream.readline()
        answers = []
        for command in (
            {"execute": "qmp_capabilities"},
            {"execute": "human-monitor-command", "arguments": {"command-line": f"gpa2hva {RAM_START:#x}"}},
        ):
            stream.write(json.dumps(command) + "\n")
            stream.flush()
            while "return" not in (answer := json.loads(stream.readline())):
                if "error" in answer:
                    raise GatewayError(f"QEMU's monitor refused: {answer['error']}")
            answers.append(answer["return"])
    found = re.search(r"is (0x[0-9a-f]+)", str(answers[-1]))
    if found is None:
        raise GatewayError(f"QEMU's monitor said {answers[-1]!r} where its memory was asked for")
    return int(found[1], 16)


def control_block(firmware: Path) -> int:
    """Return the address of the control block from the symbols of an ELF (32 bits, low byte first). Raises GatewayError."""
    image = firmware.read_bytes()
    if image[:6] != b"\x7fELF\x01\x01":
        raise GatewayError(f"{firmware} is no ELF for a 32-bit chip")
    (sections,) = struct.unpack_from("<I", image, 32)
    size, count = struct.unpack_from("<2H", image, 46)
    headers = [struct.unpack_from("<10I", image, sections + size * number) for number in range(count)]
    for kind, offset, length, link in ((header[1], header[4], header[5], header[6]) for header in headers):
        if kind != 2:  # SHT_SYMTAB
            continue
        names = headers[link][4]
        for at in range(offset, offset + length, 16):
            name, value = struct.unpack_from("<2I", image, at)
            start = names + name
            if image[start : start + len(SYMBOL) + 1] == SYMBOL + b"\0":
                return int(value)
    raise GatewayError(f"{firmware} has no RTT: it holds no symbol {SYMBOL.decode()}")


class Rtt:
    """The up channels of a running firmware."""

    def __init__(self, memory: Memory, address: int) -> None:
        self._memory = memory
        self._address = address

    def channels(self) -> list[UpChannel]:
        """Return the up channels; none before the firmware has set them up."""
        identity, count, _down = HEADER.unpack(self._memory.read(self._address, HEADER.size))
        if identity != ID or not 0 < count <= MAX_CHANNELS:
            return []
        found = []
        for number in range(count):
            at = self._address + HEADER.size + CHANNEL.size * number
            name, buffer, size, _write, _read, _flags = CHANNEL.unpack(self._memory.read(at, CHANNEL.size))
            found.append(UpChannel(self._name(name), at, buffer, size))
        return found

    def _name(self, address: int) -> str:
        try:
            text = self._memory.read(address, 32)
        except ValueError:  # a name in flash; the machine's process keeps that elsewhere
            return ""
        return text.partition(b"\0")[0].decode("ascii", "replace")

    def read(self, channel: UpChannel) -> bytes:
        """Return the bytes that the firmware has written since the last call."""
        write, read = struct.unpack("<2I", self._memory.read(channel.at + 12, 8))
        if write == read or max(write, read) >= channel.size:
            return b""
        if write > read:
            data = self._memory.read(channel.buffer + read, write - read)
        else:
            data = self._memory.read(channel.buffer + read, channel.size - read) + self._memory.read(channel.buffer, write)
        self._memory.write(channel.at + 16, struct.pack("<I", write))
        return data
