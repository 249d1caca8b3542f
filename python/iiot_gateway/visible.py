"""Escapes text from devices, peers and files, so that a terminal shows it but does not obey it, and one line stays one line."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import TextIO


def visible(text: str) -> str:
    """Write as an escape what is no letter, sign or space: control characters, line ends, marks that turn the direction of text."""
    if text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def visible_bytes(text: bytes) -> bytes:
    """Do the same with UTF-8; a byte that is none is written as an escape too."""
    return visible(text.decode("utf-8", "backslashreplace")).encode()


def for_reader(stream: TextIO) -> Callable[[str], str]:
    """Return what to do with a text of a data format, CSV for one: a file or a pipe gets it as it is, a terminal what is visible of it."""
    return visible if stream.isatty() else str


def _shown(character: str) -> str:
    # A no-break space is not printable by Python's rule, and harms nobody.
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode()
