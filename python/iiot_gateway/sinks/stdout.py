"""The stdout sink: lines of points to the process's standard output, for a pipe (`iiot-gateway run | PROGRAM`).

A pipe keeps nothing and confirms nothing: a line is delivered once it has been written. Lines of up to 4,096 bytes are written whole,
so neither a stop nor a kill tears them. A reader that is slow is waited for; one that is gone never comes back to this process.
"""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from iiot_gateway.components import SinkComponent
from iiot_gateway.config.component import MAY_DROP, Faults, KeyPath, SinkSection, place
from iiot_gateway.config.keys import flag, text, texts
from iiot_gateway.sinks.outlet import TAKEN, LineOutlet, Outcome, Result

if TYPE_CHECKING:
    from iiot_gateway._native import LineBatch, LineSink
    from iiot_gateway.components import Building
    from iiot_gateway.config.schema import Config
    from iiot_gateway.sinks.base import Sink
    from iiot_gateway.sinks.plan import Range

STANDARD_OUTPUT = 1
WHOLE_BYTES = 4096
"""A pipe takes so much at once or not at all (PIPE_BUF, pipe(7))."""
MAX_BATCH_LINES = 5000
MAX_BATCH_BYTES = 1 << 20
LINGER_MS = 50
GONE_REMEDY = "start the gateway again with a program that reads; what was not written waits in the journal"


@dataclass(frozen=True, slots=True, kw_only=True)
class StdoutSection(SinkSection):
    """`[stdout]`: every point on standard output, for a program behind a pipe."""

    format: Literal["lines", "json"] = text("lines", "lines: line protocol. json: one JSON object per point.", "lines", "json")
    on_closed: Literal["end", "wait"] = text(
        "end", "When no program reads any more: end the gateway, or let points wait in the journal for its next start.", "end", "wait"
    )
    profiles: tuple[str, ...] = texts("Only frames of these profiles; empty takes all.")
    may_drop: bool = flag(False, MAY_DROP)


class StdoutOutlet(LineOutlet):
    """Writes lines to standard output."""

    def __init__(self, section: StdoutSection, reader: LineSink, descriptor: int = STANDARD_OUTPUT) -> None:
        super().__init__(reader, max_lines=MAX_BATCH_LINES, max_bytes=MAX_BATCH_BYTES, linger_ms=LINGER_MS)
        self.place = ("output", "standard output")
        self._section = section
        self._shared = descriptor
        self._own: int | None = None
        self._stop = os.eventfd(0)
        # Whether the last line that was written has no end.
        self._is_torn = False

    def greet(self) -> Outcome:
        """Open the pipe."""
        if self._own is None:
            self._own = _opened(self._shared)
        return TAKEN

    def send(self, batch: LineBatch, part: Range) -> Outcome:
        """Write lines, as fast as they are read."""
        return self.write(batch.text(first=part.first, end=part.end))

    def prove(self, _line: bytes) -> Outcome:
        """Say that the line is taken: no pipe refuses one."""
        return TAKEN

    def stop_sending(self) -> None:
        """Wait for no reader any more."""
        os.eventfd_write(self._stop, 1)

    def write(self, lines: bytes) -> Outcome:
        """Write all of it; what follows a torn line begins on a line of its own."""
        lines = b"\n" + lines if self._is_torn and lines else lines
        own, begin = self._own if self._own is not None else self._shared, 0
        while begin < len(lines):
            if not self._has_room(own):
                return Outcome(Result.CANCELLED)
            # Whole lines where they fit, else a piece of a long one.
            end = lines.rfind(b"\n", begin, begin + WHOLE_BYTES) + 1 or begin + WHOLE_BYTES
            try:
                begin += os.write(own, lines[begin:end])
            except BlockingIOError:
                continue  # somebody else has written there meanwhile
            except BrokenPipeError:
                result = Result.GONE if self._section.on_closed == "end" else Result.REFUSED
                return Outcome(result, "nobody reads any more", GONE_REMEDY)
            except OSError as error:
                return Outcome(Result.WAIT, error.strerror or str(error))
            self._is_torn = lines[begin - 1 : begin] != b"\n"
        if stat.S_ISREG(os.fstat(own).st_mode):
            os.fdatasync(own)  # a file does have a memory
        return TAKEN

    def _has_room(self, descriptor: int) -> bool:
        """Wait until the reader has made room; False when stopped."""
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        poll.register(self._stop, select.POLLIN)
        return self._stop not in (ready for ready, _event in poll.poll())


def _opened(descriptor: int) -> int:
    """Return a pipe opened for ourselves, so that no write blocks: that flag belongs to the open file, which others share."""
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        with suppress(OSError):  # its reader is gone, or /proc is not there
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    return descriptor


def faults(config: Config, _given: AbstractSet[KeyPath]) -> Faults:
    """Give every broken rule."""
    first, *others = config.of(StdoutSection) or [""]
    for name in others:
        yield place(name), f"a process has one standard output, and [{first}] writes there"


def notes(config: Config) -> Iterator[str]:
    """Say what a pipe cannot promise."""
    for name in config.of(StdoutSection):
        yield (
            f"{name}: a pipe has no memory: a point is delivered once it is written, so what its reader has not worked off when it ends is "
            "not written again, and what was being written when the gateway is killed is written twice"
        )


def build(building: Building, name: str, section: StdoutSection) -> Sink:
    """Make the sink."""
    from iiot_gateway import _native
    from iiot_gateway.sinks.delivery import DeliverySink

    reader = _native.LineSink(building.journal, name, format="json" if section.format == "json" else "influx")
    return DeliverySink(name, "stdout", StdoutOutlet(section, reader))


COMPONENT = SinkComponent(name="stdout", section=StdoutSection, faults=faults, notes=notes, build=build)
