"""Reads damaged gzip: everything before the damage is decompressed, and the place of the damage is reported.

The standard library's reader returns nothing of the piece that contains the damage, and a short file is one piece.
"""

from __future__ import annotations

import io
import zlib
from typing import Any

MAGIC = b"\x1f\x8b"
PIECE_BYTES = 16384
"""The most compressed bytes of a piece. A damaged piece is decompressed in memory, to at most a thousand times as many bytes."""
_GZIP = 16 + zlib.MAX_WBITS


class Unpacked(io.RawIOBase):
    """The decompressed bytes of a file that begins with `MAGIC`, of one gzip member or several."""

    def __init__(self, file: io.BufferedReader[Any]) -> None:
        super().__init__()
        self._file = file
        self._input = b""
        self._read_bytes = 0
        """The bytes read from the file, including `_input`."""
        self._inflate: Any = zlib.decompressobj(_GZIP)
        """The state of the present member; None between members."""
        self._salvaged = b""
        self.damage = ""
        """At the end: the damage and its place."""

    def readable(self) -> bool:
        """Return True: the object can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes into the buffer, and return how many there are; 0 at the end or at the damage."""
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
            # Called without new input too, because zlib may still hold output.
            if given := self._inflated(most_bytes):
                return given
            if self._inflate is not None and not self._salvaged and not self.damage and not self._more():
                self.damage = f"the compressed data is cut: the file ends at byte {self._read_bytes}, and its end is missing"

    def _more(self) -> bool:
        """Add the next bytes of the file to the rest of the input."""
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
        """Decompress the input byte by byte, up to the damaged byte."""
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
        """Look behind a member: another member or zeros that fill a block may follow. Anything else is damage."""
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
