"""Reads the files that a person writes: UTF-8 with or without a byte order mark, or UTF-16 as some programs of Windows save it."""

from __future__ import annotations

import codecs
import io
from pathlib import Path

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(path: str | Path) -> str:
    """Return the text, lines ended by line feeds. Raises OSError, and UnicodeDecodeError for what is no text."""
    content = Path(path).read_bytes()
    encoding = "utf-16" if content.startswith(_UTF_16) else "utf-8-sig"
    return io.TextIOWrapper(io.BytesIO(content), encoding).read()


def read_secret(path: str | Path) -> str:
    """Return a password, token or key without the white space and line ends around it. Raises OSError and UnicodeDecodeError."""
    return read_text(path).strip()
