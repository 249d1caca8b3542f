"""The standard streams of a command: they always exist, and each fault is reported once, in a line.

A descriptor that the caller closed is taken at once; otherwise the next file that is opened, a journal perhaps, would get its number and
everything that is written to standard error.
"""

from __future__ import annotations

import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

from iiot_gateway.errors import OutputUnwritable

if TYPE_CHECKING:
    from typing import Any

STANDARD_OUTPUT = 1
STANDARD_ERROR = 2


class _Output(io.FileIO):
    """Standard output: what cannot be written there ends a command with a line, however the command reads and writes other files."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputUnwritable(f"the output cannot be written: {error.strerror}") from error


class _Remarks(io.FileIO):
    """Standard error: nobody is there to be told that it cannot be written, so that changes nothing."""

    def write(self, data: Any, /) -> int:
        try:
            while (count := super().write(data)) is None:
                poll = select.poll()
                poll.register(self.fileno(), select.POLLOUT)
                poll.poll()
        except OSError:
            return len(data)
        return count


def prepare() -> None:
    """Make all three streams usable, at the start of the process."""
    for descriptor in (0, STANDARD_OUTPUT, STANDARD_ERROR):
        try:
            os.fstat(descriptor)
        except OSError:
            # It gets the lowest number that is free: this one. Writing there fails as on a closed one.
            os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)
    # Whoever replaced a stream meanwhile, as a test does, keeps his own.
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(_Output(STANDARD_OUTPUT, "w", closefd=False), sys.stdout, "strict")
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(_Remarks(STANDARD_ERROR, "w", closefd=False), sys.stderr, "backslashreplace")


def close_output() -> None:
    """Write what is left for standard output; nothing of it is left for the interpreter's own end. Raises OutputUnwritable."""
    try:
        sys.stdout.flush()
    except (OutputUnwritable, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), STANDARD_OUTPUT)
        raise


def _text(raw: io.FileIO, like: TextIO | None, errors: str) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=like.encoding if like else "utf-8",
        errors=(like.errors if like else None) or errors,
        line_buffering=raw.fileno() == STANDARD_ERROR or raw.isatty(),
    )
