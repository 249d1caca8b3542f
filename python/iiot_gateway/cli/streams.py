"""The standard streams of a command: they always exist, and each fault is reported once, in one line.

If the caller closed a descriptor, its number is occupied at once. Otherwise the next file, perhaps the journal, would get the number,
and all text for standard error would be written to that file.
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
    """Standard output. If it cannot be written, the command ends with one line, however it handles errors of other files."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputUnwritable(f"the output cannot be written: {error.strerror}") from error


class _Remarks(io.FileIO):
    """Standard error. If it cannot be written, nothing happens, because there is no place to report that."""

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
            # The new descriptor gets the lowest free number, which is this one. Writing to it fails, as on a closed descriptor.
            os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)
    # A stream that was replaced, for example by a test, stays in use.
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(_Output(STANDARD_OUTPUT, "w", closefd=False), sys.stdout, "strict")
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(_Remarks(STANDARD_ERROR, "w", closefd=False), sys.stderr, "backslashreplace")


def close_output() -> None:
    """Write the rest of standard output, so that the interpreter has nothing to write at its end. Raises OutputUnwritable."""
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
