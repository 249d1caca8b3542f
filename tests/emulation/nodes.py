"""Where the emulated nodes' firmware lies, and the gateway node's port as a test reads it."""

from __future__ import annotations

import json
import os
import select
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iiot_gateway.devices.board import QEMU
from iiot_gateway.devices.simulation import Simulation
from servers import find_program, until

FIRMWARE = Path(__file__).parents[2] / "firmware" / "target" / "qemu"
CI = "CI" in os.environ
KEY = bytes(range(16))
GATEWAY = 2

Simulate = Callable[..., Simulation]


def missing() -> str:
    """Say what the emulation lacks."""
    if find_program(QEMU) is None:
        return f"{QEMU} is not installed: apt install qemu-system-arm"
    if not all((FIRMWARE / name).is_file() for name in ("node1-firmware", "node2-firmware")):
        return "the firmware is not built; scripts/build-firmware.sh qemu builds it"
    return ""


def require() -> None:
    """Skip what needs the emulation where it is not there; in CI that is a failure."""
    if reason := missing():
        if CI:
            pytest.fail(reason)
        pytest.skip(reason)


class Port:
    """The virtual COM port of the gateway node, read line by line."""

    def __init__(self, path: str) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.descriptor)
        self.lines: list[bytes] = []
        self._rest = b""

    def poll(self) -> None:
        """Take what is there."""
        while select.select([self.descriptor], [], [], 0)[0]:
            *lines, self._rest = (self._rest + os.read(self.descriptor, 65536)).split(b"\n")
            self.lines += lines

    def until(self, condition: Callable[[list[bytes]], bool], what: str, timeout_s: float = 60.0) -> None:
        """Wait until the lines so far are as wanted."""

        def holds() -> bool:
            self.poll()
            return condition(self.lines)

        until(holds, what, timeout_s)

    def write(self, data: bytes) -> None:
        """Say something to the node."""
        os.write(self.descriptor, data)

    def close(self) -> None:
        """Let go of it."""
        os.close(self.descriptor)


def documents(lines: list[bytes]) -> list[dict[str, Any]]:
    """Return the documents among the lines; the port may have been opened in the middle of the first line."""
    return [json.loads(line) for line in lines if line.startswith(b'{"ts"') and line.endswith(b"}")]


def readings(lines: list[bytes], node: int) -> list[dict[str, Any]]:
    """Return what a node sent, beside infos and answers."""
    found = []
    for document in documents(lines):
        part = document.get("n1") if node == 1 else document.get("nodes", {}).get(f"node{node}")
        if part is not None and "st" in part:
            found.append({**part, "age": document.get("age", 0)})
    return found
