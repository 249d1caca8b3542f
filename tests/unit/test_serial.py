"""The serial source, on a pseudo-terminal."""

from __future__ import annotations

import io
import os
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import anyio
import pytest
from serial.tools.list_ports_common import ListPortInfo

from iiot_gateway.backoff import Backoff
from iiot_gateway.errors import RecordingUnwritable, SourceUnavailable
from iiot_gateway.sources.recording import RecordingReader, RecordingWriter
from iiot_gateway.sources.serial.section import SerialSection
from iiot_gateway.sources.serial.source import USB_PATTERN, SerialSource, devices_of, find_port

pytestmark = pytest.mark.anyio

DOCUMENT = b'{"ts":5000,"id":"N2","n1":{"t":7}}\\n'


class Line:
    """A pseudo-terminal behind a name that stays when the terminal changes, as udev's links do."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.open()

    def open(self) -> None:
        """Plug a new device in."""
        self.ours, theirs = os.openpty()
        tty.setraw(theirs)
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(os.ttyname(theirs))
        os.close(theirs)

    def unplug(self) -> None:
        """Take the device away."""
        os.close(self.ours)
        self.ours = -1
        self.link.unlink()

    def write(self, data: bytes) -> None:
        """Send as the node does."""
        os.write(self.ours, data)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    """A line that is plugged in."""
    line = Line(tmp_path / "ttyNODE")
    yield line
    if line.ours >= 0:
        os.close(line.ours)


def source_on(line: Line, file: BinaryIO) -> SerialSource:
    """Return a source that records what comes."""
    section = SerialSection(port=str(line.link))
    return SerialSource("serial", section, RecordingWriter(file, "serial"), backoff=Backoff(first_s=0.01, ceiling_s=0.02))


def leaves(error: BaseException) -> list[str]:
    """Return the texts of all errors in a group."""
    return [text for inner in error.exceptions for text in leaves(inner)] if isinstance(error, BaseExceptionGroup) else [str(error)]


def received(file: io.BytesIO) -> bytes:
    """Return all bytes so far."""
    return b"".join(chunk for _at, chunk in RecordingReader(io.BytesIO(file.getvalue())).chunks())


async def wait_for(condition: Callable[[], bool]) -> None:
    """Let the source work until the condition holds."""
    with anyio.fail_after(10):
        while not condition():
            await anyio.sleep(0.005)


async def test_bytes_arrive_unchanged_and_survive_unplugging(line: Line) -> None:
    """The port may go and come back under another device: nothing sent while it was there is lost."""
    file = io.BytesIO()
    source = source_on(line, file)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(source.run)
        await wait_for(lambda: source.status.state == "running")
        line.write(DOCUMENT + bytes(range(256)))
        await wait_for(lambda: len(received(file)) == len(DOCUMENT) + 256)
        line.unplug()
        await wait_for(lambda: source.status.state == "port_missing")
        line.open()
        await wait_for(lambda: source.status.state == "running")
        line.write(DOCUMENT)
        await wait_for(lambda: received(file).endswith(DOCUMENT))
        tasks.cancel_scope.cancel()

    assert received(file) == DOCUMENT + bytes(range(256)) + DOCUMENT
    assert source.status.restarts >= 2


async def test_a_source_that_is_stopped_says_nothing_of_a_fault(line: Line) -> None:
    """The port is still there: whoever ends the gateway must not read that the adapter was unplugged."""
    source = source_on(line, io.BytesIO())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(source.run)
        await wait_for(lambda: source.status.state == "running")
        tasks.cancel_scope.cancel()

    assert source.status.state == "running"
    assert source.status.restarts == 0


async def test_a_port_that_another_program_holds_is_called_busy(line: Line) -> None:
    """Two readers of one port would each get half."""
    first, second = source_on(line, io.BytesIO()), source_on(line, io.BytesIO())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first.run)
        await wait_for(lambda: first.status.state == "running")
        tasks.start_soon(second.run)
        await wait_for(lambda: second.status.state == "port_busy")
        tasks.cancel_scope.cancel()


async def test_a_recording_that_cannot_be_written_is_not_the_ports_fault(line: Line) -> None:
    """It ends the recording with the reason; the port is not looked for again."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb", buffering=0) as file:
        source = source_on(line, file)
        os.close(reading)
        told: list[str] = []
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(source.run)
                await wait_for(lambda: source.status.state == "running")
                line.write(DOCUMENT)
        except* RecordingUnwritable as group:
            told = leaves(group)

    assert told == ["the recording cannot be written any further: Broken pipe"]
    assert source.status.restarts == 0


def test_a_pattern_without_a_device_is_a_missing_port() -> None:
    """A USB pattern is looked for each time, and what was looked for is told."""
    with pytest.raises(SourceUnavailable, match="f00d:f00d:NONE"):
        find_port("f00d:f00d:NONE")
    assert find_port("/dev/ttyACM0") == "/dev/ttyACM0"


def usb(device: str, vid: int, pid: int, serial_number: str | None) -> ListPortInfo:
    """Return a port as pyserial lists it."""
    port = ListPortInfo(device)
    port.vid, port.pid, port.serial_number = vid, pid, serial_number
    return port


@pytest.mark.parametrize(
    ("pattern", "devices"),
    [
        ("0483:374B", ["/dev/ttyACM0", "/dev/ttyACM1"]),
        ("0483:374b:066dff3833584B3043115433", ["/dev/ttyACM1"]),
        ("0403:6001", ["/dev/ttyUSB0"]),
        ("0403:6001:066DFF3833584B3043115433", []),
        ("0483:6001", []),
    ],
)
def test_a_usb_pattern_means_vendor_product_and_where_given_serial_number(pattern: str, devices: list[str]) -> None:
    """In either case of letters; a port that is no USB device, or tells no serial number, is none of them by accident."""
    ports = [
        usb("/dev/ttyACM1", 0x0483, 0x374B, "066DFF3833584B3043115433"),
        usb("/dev/ttyUSB0", 0x0403, 0x6001, None),
        usb("/dev/ttyACM0", 0x0483, 0x374B, "0672FF485550755187"),
        ListPortInfo("/dev/ttyS0"),
    ]
    match = USB_PATTERN.fullmatch(pattern)
    assert match is not None

    assert devices_of(match, ports) == devices
