"""Reads gzip as far as it goes: everything that can be decompressed comes out, whatever is wrong behind it, and the damage has its place.

The standard library's reader gives nothing of the piece in which it meets the damage, and a short file is one piece.
"""

from __future__ import annotations

import io
import zlib
from typing import Any

MAGIC = b"\x1f\x8b"
PIECE_BYTES = 16384
"""Compressed; what a damaged piece can hold, a thousand times as much at most, is in memory at once."""
_GZIP = 16 + zlib.MAX_WBITS


class Unpacked(io.RawIOBase):
    """The decompressed bytes of a file that begins with `MAGIC`, of one gzip member or several."""

    def __init__(self, file: io.BufferedReader[Any]) -> None:
        super().__init__()
        self._file = file
        self._input = b""
        self._read_bytes = 0
        """Of the file, `_input` included."""
        self._inflate: Any = zlib.decompressobj(_GZIP)
        """Of the member that is being read; None between members."""
        self._salvaged = b""
        self.damage = ""
        """At the end: what was wrong, and where."""

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Give the next bytes; 0 at the end, which may be where the damage is."""
        view = memoryview(buffer).cast("B")
        given = self._some(len(view))
        view[: len(given)] = given
        return len(given)

    def _some(self, most_bytes: int) -> bytes:
        while True:
            if self._salvaged:
                given, self._salvaged = self._salvaged[:most_bytes], self._salvaged[most_bytes:]
                return given
            if self.damage or (self._inflate is None and not self._next_member()):
                return b""
            # Also without input: output may wait within.
            if given := self._inflated(most_bytes):
                return given
            if self._inflate is not None and not self._salvaged and not self.damage and not self._more():
                self.damage = f"the compressed data is cut: the file ends at byte {self._read_bytes}, and its end is missing"

    def _more(self) -> bool:
        """Read behind what is left of the input, as it comes."""
        piece = self._file.read1(PIECE_BYTES)
        self._input += piece
        self._read_bytes += len(piece)
        return bool(piece)

    def _inflated(self, most_bytes: int) -> bytes:
        before = self._inflate.copy()
        try:
            given: bytes = self._inflate.decompress(self._input, most_bytes)
        except zlib.error:
            self._salvage(before)
            return b""
        if self._inflate.eof:
            self._input, self._inflate = self._inflate.unused_data, None
        else:
            self._input = self._inflate.unconsumed_tail
        return given

    def _salvage(self, inflate: Any) -> None:
        """Take byte by byte what could not be taken at once, up to the one that does not fit."""
        salvaged = bytearray()
        for index in range(len(self._input)):
            try:
                salvaged += inflate.decompress(self._input[index : index + 1])
            except zlib.error as error:
                at = self._read_bytes - len(self._input) + index
                why = str(error).rpartition(": ")[2]
                self.damage = f"the compressed data is damaged at byte {at} of the file, or before ({why}); what follows was left out"
                break
        self._salvaged = bytes(salvaged)

    def _next_member(self) -> bool:
        """Look behind a member: another one may follow, and zeros that fill a block; anything else does not belong there."""
        while True:
            self._input = self._input.lstrip(b"\0")
            is_known = self._input and not MAGIC.startswith(self._input)
            if is_known or not self._more():
                break
        if self._input.startswith(MAGIC):
            self._inflate = zlib.decompressobj(_GZIP)
        elif self._input:
            at = self._read_bytes - len(self._input)
            self.damage = f"from byte {at} of the file on there is no compressed data any more; that was left out"
        return self._inflate is not None
