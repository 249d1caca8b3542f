"""Reads files that a person writes: UTF-8 with or without a byte order mark, or UTF-16 from some programs of Windows."""

from __future__ import annotations

import codecs
import io
from pathlib import Path

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(path: str | Path) -> str:
    """Return the text, with line feeds at the ends of lines. Raises OSError, and UnicodeDecodeError if the file is no text."""
    content = Path(path).read_bytes()
    encoding = "utf-16" if content.startswith(_UTF_16) else "utf-8-sig"
    return io.TextIOWrapper(io.BytesIO(content), encoding).read()


def read_secret(path: str | Path) -> str:
    """Return a password, token or key, without surrounding white space. Raises OSError and UnicodeDecodeError."""
    return read_text(path).strip()
