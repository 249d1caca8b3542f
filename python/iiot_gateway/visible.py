"""Escapes text from devices, peers and files, so that a terminal shows it but does not obey it, and one line stays one line."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import TextIO


def visible(text: str) -> str:
    """Escape characters that a terminal does not show: control characters, line ends, and marks that change the direction of text."""
    if text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def visible_bytes(text: bytes) -> bytes:
    """Do the same with UTF-8. A byte that is not UTF-8 is escaped too."""
    return visible(text.decode("utf-8", "backslashreplace")).encode()


def for_reader(stream: TextIO) -> Callable[[str], str]:
    """Return how to write text of a data format, such as CSV: unchanged to a file or a pipe, escaped to a terminal."""
    return visible if stream.isatty() else str


def _shown(character: str) -> str:
    # Python counts a no-break space as not printable, but it is harmless.
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode()
