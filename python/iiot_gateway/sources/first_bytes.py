"""Guesses the type of a file from its first bytes, to explain why no document was found in it. Pure."""

from __future__ import annotations

SHOWN_BYTES = 300
"""How many bytes from the beginning are needed."""
_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"\xfd7zXZ\0", "is compressed with xz: unpack it with `xz -d`"),
    (b"BZh", "is compressed with bzip2: unpack it with `bunzip2`"),
    (b"PK\x03\x04", "is a zip archive: unpack it with `unzip`"),
    (b"PK\x05\x06", "is a zip archive without files"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd: unpack it with `zstd -d`"),
    (b"\x04\x22\x4d\x18", "is compressed with lz4: unpack it with `lz4 -d`"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive: unpack it with `7z x`"),
    (b"Rar!\x1a\x07", "is a rar archive: unpack it with `unrar x`"),
    (b"\x1f\x9d", "is compressed with compress: unpack it with `uncompress`"),
    (b"\x1f\x8b", "is compressed with gzip twice: unpack it with `gunzip`"),
    (b"\xff\xfe\0\0", "is UTF-32: save it as UTF-8"),
    (b"\0\0\xfe\xff", "is UTF-32: save it as UTF-8"),
    (b"SQLite format 3\0", "is a database: a log or a recording is played, not the journal or the history"),
    (b"\x7fELF", "is a program: a log or a recording is played"),
    (b"PAR1", "is Parquet: a log or a recording is played"),
    (b"%PDF", "is a PDF document"),
    (b"\xd4\xc3\xb2\xa1", "is a network capture"),
    (b"\n\r\r\n", "is a network capture"),
)
_TAR_AT = 257


def what_it_is(beginning: bytes) -> str:
    """Return the end of a sentence that begins with the file's name; "" if the file is text or of an unknown type."""
    for magic, name in _BEGINNINGS:
        if beginning.startswith(magic):
            return name
    if beginning[_TAR_AT : _TAR_AT + 5] == b"ustar":
        return "is a tar archive: unpack it with `tar -xf`"
    zeros = [at % 2 for at, byte in enumerate(beginning) if byte == 0]
    if len(zeros) > len(beginning) // 4 and len(set(zeros)) == 1:
        return "looks like UTF-16 without a byte order mark: save it as UTF-8"
    if b"\0" in beginning:
        return "is no text"
    return ""
