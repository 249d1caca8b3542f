"""The serial source: a port, or a USB adapter wherever it turns up; bytes are pushed as they come."""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import anyio
import anyio.to_thread

from iiot_gateway.backoff import Backoff
from iiot_gateway.errors import SourceUnavailable
from iiot_gateway.log import SOURCE_FAILED, Repeated, get_log
from iiot_gateway.sources.base import Intake, Listener, SourceStatus
from iiot_gateway.sources.descriptor import read_descriptor
from iiot_gateway.sources.serial.section import SerialSection

USB_PATTERN = re.compile(r"([0-9A-Fa-f]{4}):([0-9A-Fa-f]{4})(?::(.+))?")
REMEDY = {
    "port_missing": "plug the adapter in, or correct the port; `ls /dev/serial/by-id` shows what is there",
    "port_forbidden": "add this user to the group dialout (sudo usermod -aG dialout USER), then log in again",
    "port_busy": "close the other program that reads the port (a terminal, a running gateway)",
    "unplugged": "plug the adapter in again; the gateway goes on by itself",
    "port_failed": "read the detail",
}


class SerialSource:
    """Reads one port, and opens it again whenever it is gone."""

    kind = "serial"

    def __init__(self, name: str, section: SerialSection, intake: Intake, *, backoff: Backoff | None = None) -> None:
        self.name = name
        self.status = SourceStatus(traffic=intake.traffic)
        self._section = section
        self._intake = intake
        self._backoff = backoff or Backoff()
        self._log = get_log(source=name)
        self._repeated = Repeated()
        self._descriptor: int | None = None
        self.listener: Listener | None = None
        """Also gets every chunk, on the reading thread."""

    def write(self, data: bytes) -> None:
        """Write all bytes to the device, or none. Raises SourceUnavailable."""
        if self._descriptor is None:
            raise SourceUnavailable(self.status.state, self.status.detail)
        try:
            written = os.write(self._descriptor, data)
        except OSError as error:
            raise SourceUnavailable("unplugged", error.strerror or str(error)) from error
        if written < len(data):
            raise SourceUnavailable("port_failed", f"the device took {written} of {len(data)} bytes")

    async def run(self) -> None:
        """Open the port and read until it is gone, again and again."""
        while True:
            opened_s = time.monotonic()
            opened = False
            try:
                port = await anyio.to_thread.run_sync(open_port, self._section)
                opened = True
                await self._listen(port)
            except SourceUnavailable as error:
                condition, detail = error.args
            delay_s = self._backoff.next_delay_s(time.monotonic() - opened_s if opened else 0.0)
            self.status.change(self._log, condition, detail, bad=True)
            if (extra := self._repeated.allows(condition)) is not None:
                self._log.warning(
                    SOURCE_FAILED,
                    condition=condition,
                    detail=detail,
                    remedy=REMEDY[condition],
                    retry_s=round(delay_s, 1),
                    **extra,
                )
            self.status.restarts += 1
            await anyio.sleep(delay_s)

    async def _listen(self, port: Any) -> None:
        self.status.change(self._log, "running", port.port)
        began_s = time.time()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch, began_s, port.port)
                self._descriptor = port.fileno()
                await read_descriptor(port.fileno(), self._intake, self.listener)
                tasks.cancel_scope.cancel()
        except* OSError as group:
            error = group.exceptions[0]
            raise SourceUnavailable("unplugged", getattr(error, "strerror", None) or str(error)) from error
        finally:
            self._descriptor = None
            port.close()
            self._intake.restart()
        raise SourceUnavailable("unplugged", "the device hung up")

    async def _watch(self, began_s: float, port: str) -> None:
        limit_s = self._section.silence_s
        while limit_s:
            await anyio.sleep(min(1.0, limit_s / 10))
            self.status.refresh()
            if time.time() - max(began_s, self.status.last_document_at) > limit_s:
                self.status.change(self._log, "telemetry_silent", f"no telemetry for {limit_s:g} s", bad=True)
            else:
                self.status.change(self._log, "running", port)


def find_port(port: str) -> str:
    """Return the device for a path or a VID:PID[:SERIAL] pattern. Raises SourceUnavailable."""
    pattern = USB_PATTERN.fullmatch(port)
    if pattern is None:
        return port
    from serial.tools import list_ports

    found = devices_of(pattern, list_ports.comports())
    if not found:
        raise SourceUnavailable("port_missing", f"no serial port of a USB device {port}")
    return found[0]


def devices_of(pattern: re.Match[str], ports: Iterable[Any]) -> list[str]:
    """Return the devices of pyserial's ports that fit a match of USB_PATTERN, sorted."""
    vid, pid, serial_number = int(pattern[1], 16), int(pattern[2], 16), pattern[3]
    return sorted(
        str(p.device)
        for p in ports
        if p.vid == vid and p.pid == pid and (serial_number is None or (p.serial_number or "").lower() == serial_number.lower())
    )


def open_port(section: SerialSection) -> Any:
    """Open the port exclusively, with reads that do not wait. Raises SourceUnavailable (condition, detail)."""
    import serial

    device = find_port(section.port)
    try:
        port = serial.Serial(
            device,
            section.baud,
            bytesize=section.bytesize,
            parity=section.parity,
            stopbits=section.stopbits,
            timeout=0,
            exclusive=True,
        )
    except (serial.SerialException, OSError, ValueError) as error:
        raise SourceUnavailable(condition_of(error), f"{device}: {error}") from error
    with suppress(OSError, ValueError, NotImplementedError, AttributeError):  # not that kind of adapter
        port.set_low_latency_mode(True)  # otherwise FTDI adapters hold bytes back for 16 ms
    return port


def condition_of(error: Exception) -> str:
    """Return the condition of a port that does not open."""
    number = getattr(error, "errno", None)
    if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
        return "port_missing"
    if number in (errno.EACCES, errno.EPERM):
        return "port_forbidden"
    if number in (errno.EBUSY, errno.EAGAIN) or "exclusively lock" in str(error):
        return "port_busy"
    return "port_failed"
