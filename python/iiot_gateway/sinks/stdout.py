"""The stdout sink: writes points as lines to standard output, for a program behind a pipe (`iiot-gateway run | PROGRAM`).

A pipe stores nothing and confirms nothing, so a line is delivered once it is written. Lines of up to 4,096 bytes are written whole, so
neither a stop nor a kill tears them. The sink waits for a slow reader. A reader that has gone never comes back to this process.
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
"""The most bytes that a pipe accepts either at once or not at all (PIPE_BUF, pipe(7))."""
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
        # Whether the last line was written only in part.
        self._is_torn = False

    def greet(self) -> Outcome:
        """Open the pipe."""
        if self._own is None:
            self._own = _opened(self._shared)
        return TAKEN

    def send(self, batch: LineBatch, part: Range) -> Outcome:
        """Write lines, as fast as the reader takes them."""
        return self.write(batch.text(first=part.first, end=part.end))

    def prove(self, _line: bytes) -> Outcome:
        """Return that the line is accepted: a pipe refuses no line."""
        return TAKEN

    def stop_sending(self) -> None:
        """Stop waiting for the reader."""
        os.eventfd_write(self._stop, 1)

    def write(self, lines: bytes) -> Outcome:
        """Write all lines. After a torn line, begin a new one."""
        lines = b"\n" + lines if self._is_torn and lines else lines
        own, begin = self._own if self._own is not None else self._shared, 0
        while begin < len(lines):
            if not self._has_room(own):
                return Outcome(Result.CANCELLED)
            # Write whole lines if they fit; otherwise write a piece of a long line.
            end = lines.rfind(b"\n", begin, begin + WHOLE_BYTES) + 1 or begin + WHOLE_BYTES
            try:
                begin += os.write(own, lines[begin:end])
            except BlockingIOError:
                continue  # another process has filled the pipe meanwhile
            except BrokenPipeError:
                result = Result.GONE if self._section.on_closed == "end" else Result.REFUSED
                return Outcome(result, "nobody reads any more", GONE_REMEDY)
            except OSError as error:
                return Outcome(Result.WAIT, error.strerror or str(error))
            self._is_torn = lines[begin - 1 : begin] != b"\n"
        if stat.S_ISREG(os.fstat(own).st_mode):
            os.fdatasync(own)  # unlike a pipe, a file stores the lines
        return TAKEN

    def _has_room(self, descriptor: int) -> bool:
        """Wait until the pipe has room. Return False if the sink is stopped."""
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        poll.register(self._stop, select.POLLIN)
        return self._stop not in (ready for ready, _event in poll.poll())


def _opened(descriptor: int) -> int:
    """Open the pipe again for this process, so that no write blocks: the flag for that belongs to the open file, which others share."""
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        with suppress(OSError):  # the reader is gone, or there is no /proc
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    return descriptor


def faults(config: Config, _given: AbstractSet[KeyPath]) -> Faults:
    """Yield every broken rule."""
    first, *others = config.of(StdoutSection) or [""]
    for name in others:
        yield place(name), f"a process has one standard output, and [{first}] writes there"


def notes(config: Config) -> Iterator[str]:
    """Yield what a pipe cannot promise."""
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
