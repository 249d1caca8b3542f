"""Reads a log in UTF-16, as the `>` of PowerShell saves it, and gives the original UTF-8."""

from __future__ import annotations

import codecs
import io
from typing import Any

MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
LONGER_MARK = codecs.BOM_UTF32_LE
"""The mark of UTF-32, which begins like the mark of UTF-16."""
PIECE_BYTES = 65536


class Recoded(io.RawIOBase):
    """The text of a file that begins with one of `MARKS`, in UTF-8. Invalid units become U+FFFD."""

    def __init__(self, file: io.BufferedReader[Any]) -> None:
        super().__init__()
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-16")("replace")
        self._waiting = b""

    def readable(self) -> bool:
        """Return True: the object can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes into the buffer, and return how many there are."""
        view = memoryview(buffer).cast("B")
        while not self._waiting:
            piece = self._file.read1(PIECE_BYTES)
            self._waiting = self._decoder.decode(piece, final=not piece).encode("utf-8", "replace")
            if not piece:
                break
        given, self._waiting = self._waiting[: len(view)], self._waiting[len(view) :]
        view[: len(given)] = given
        return len(given)
