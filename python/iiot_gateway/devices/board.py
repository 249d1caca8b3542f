"""A node in QEMU: the firmware's emulation build, with its chips and its radio module behind sockets."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from iiot_gateway.devices.air import Air
from iiot_gateway.devices.chips import Chips
from iiot_gateway.devices.rylr998 import Rylr998
from iiot_gateway.errors import GatewayError

QEMU = "qemu-system-arm"
SETTINGS_ADDRESS = 0x2001FF00
SETTINGS, CHIPS, RADIO, QMP = "settings", "chips", "radio", "qmp"
"""The files in a node's folder: its settings, and the sockets of bus, radio module and monitor."""
PTY = re.compile(rb"char device redirected to (\S+) \(label serial1\)")
START_S = 20.0

REGIONS = {"eu868": 0, "us915": 1}
"""The regions, with their codes in the settings. Channel, modulation and power depend on the region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlan:
    """One node: its identity, its place, and its firmware."""

    firmware: Path
    address: int
    gateway: int = 2
    interval_s: int = 10
    seed: int = 0
    key: bytes | None = None
    region: str = "eu868"
    distance_m: float = 100.0
    powered: bool = True
    """If false, somebody else starts the machine on the folder."""

    def settings(self) -> bytes:
        """Return the block that the firmware reads at its start."""
        return b"".join(
            (
                b"IIOT",
                bytes([self.address, self.gateway]),
                self.interval_s.to_bytes(2, "little"),
                (self.seed & 0xFFFFFFFF).to_bytes(4, "little"),
                self.key or bytes(16),
                bytes([self.key is not None, REGIONS[self.region]]),
                # Band, network id, modulation and power: zeros mean the values of the region.
                bytes(10),
            )
        )


def qemu_command(firmware: Path, folder: Path) -> list[str]:
    """Return QEMU's command line for a node with settings and sockets in a folder. Raises GatewayError if a file is missing."""
    program = shutil.which(QEMU)
    if program is None:
        raise GatewayError(f"there is no {QEMU}: apt install qemu-system-arm")
    if not firmware.is_file():
        raise GatewayError(f"there is no firmware at {firmware}: scripts/build-firmware.sh builds it")
    loader = f"loader,file={folder / SETTINGS},addr={SETTINGS_ADDRESS:#x},force-raw=on"
    serials = ["null", "pty", f"unix:{folder / CHIPS}", f"unix:{folder / RADIO}"]
    command = [program, "-M", "netduinoplus2", "-nographic", "-monitor", "none", "-kernel", str(firmware)]
    command += ["-device", loader, "-qmp", f"unix:{folder / QMP},server=on,wait=off"]
    command += [word for serial in serials for word in ("-serial", serial)]
    # The machine ends with the process that started it.
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *command] if setpriv else command


class _Line(asyncio.Protocol):
    """One UART. All bytes are read at once, because unread bytes would stop the machine."""

    def __init__(self) -> None:
        self.take: Callable[[bytes], object] = len
        self.transport: asyncio.WriteTransport | None = None
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.WriteTransport):
            self.transport = transport
            self.closed.clear()

    def data_received(self, data: bytes) -> None:
        self.take(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the base's signature
        self.closed.set()

    def write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    async def close(self) -> None:
        if self.transport is not None:
            self.transport.abort()
            await self.closed.wait()


class Board:
    """One running node. `port` is the terminal of its virtual COM port."""

    def __init__(self, plan: NodePlan, folder: Path, air: Air) -> None:
        self.plan = plan
        self.chips = Chips()
        self.port = ""
        self.folder = folder
        self._loop = asyncio.get_running_loop()
        self._radio_line, self._chip_line = _Line(), _Line()
        self.radio = Rylr998(air, self._loop, self._radio_line.write, plan.distance_m)
        self._radio_line.take = self.radio.feed
        self._chip_line.take = partial(self.chips.feed, answer=self._chip_line.write)
        self._servers: list[asyncio.Server] = []
        self._process: asyncio.subprocess.Process | None = None
        self._output: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Write the folder and give the node power; returns once its terminal is known. Raises GatewayError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / SETTINGS).write_bytes(self.plan.settings())
        self._servers.append(await self._loop.create_unix_server(lambda: self._chip_line, self.folder / CHIPS))
        self._servers.append(await self._loop.create_unix_server(lambda: self._radio_line, self.folder / RADIO))
        if self.plan.powered:
            await self.power_on()

    def reseed(self) -> None:
        """Set new noise for the node's next start."""
        self.plan = replace(self.plan, seed=self.plan.seed + 1000)
        (self.folder / SETTINGS).write_bytes(self.plan.settings())

    async def power_on(self) -> None:
        """Switch the node on. Raises GatewayError if the machine does not start."""
        command = qemu_command(self.plan.firmware, self.folder)
        # In its own process group: Ctrl-C goes to the program that started it, which ends the machine after the gateway.
        self._process = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=0
        )
        stream = self._process.stdout
        said = b""
        try:
            if stream is None:
                raise GatewayError(f"{QEMU} has no output")
            async with asyncio.timeout(START_S):
                while (found := PTY.search(said)) is None:
                    line = await stream.readline()
                    if not line:
                        raise GatewayError(f"{QEMU} ended: {said.decode(errors='replace').strip()[-400:]}")
                    said += line
        except TimeoutError:
            raise GatewayError(f"{QEMU} did not start within {START_S:g} s: {said.decode(errors='replace')[-400:]}") from None
        self.port = found[1].decode()
        self._output = self._loop.create_task(_drain(stream))

    async def power_off(self) -> None:
        """Cut the node's power."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        if self._output is not None:
            await self._output

    async def stop(self) -> None:
        """End the machine and its sockets."""
        await self.power_off()
        for line in (self._radio_line, self._chip_line):
            await line.close()
        for server in self._servers:
            server.close()


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.read(4096):
        pass
