"""Reads the headers and the query of a request. A fault in a query raises a Problem that names the parameter and the right values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from iiot_gateway.api.problem import Problem

MAX_MS = 9_223_372_036_854
"""The last millisecond that 64-bit nanoseconds can represent."""


def header(scope: MutableMapping[str, Any], name: bytes) -> str:
    """Return the first header with this name, which is in small letters; empty if there is none.

    Posts read five headers each, so this does without the mapping that Starlette makes of them.
    """
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return ""


def refuse_unknown(query: Mapping[str, str], known: Iterable[str]) -> None:
    """Raise Problem for an unknown parameter: otherwise a misspelt one would silently have no effect."""
    for name in query:
        if name not in known:
            listed = ", ".join(known) or "none"
            raise Problem(400, "unknown_parameter", f"there is no parameter {name[:40]!r}", f"known here: {listed}")


def whole(query: Mapping[str, str], name: str, *, low: int, high: int, default: int | None = None) -> int:
    """Read a whole number. A parameter without a default is required. Raises Problem."""
    text = query.get(name)
    if text is None:
        if default is None:
            raise Problem(400, "parameter_missing", f"{name} is needed", f"a whole number from {low} to {high}")
        return default
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 20 and low <= int(text) <= high):
        raise Problem(400, "parameter_invalid", f"{name}: found {text[:40]!r}", f"expected a whole number from {low} to {high}")
    return int(text)


def place(query: Mapping[str, str], name: str) -> tuple[str, int] | None:
    """Read the end of a page of chunks, RUN.NUMBER; None if the parameter is absent. Raises Problem."""
    text = query.get(name)
    if text is None:
        return None
    run, _, number = text.partition(".")
    if not (run.isalnum() and run.isascii() and number.isascii() and number.isdigit() and len(number) <= 18):
        raise Problem(400, "parameter_invalid", f"{name}: found {text[:80]!r}", "expected the `next` of the answer before")
    return run, int(number)


def choice(query: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    """Read one of a few words; the first is the default. Raises Problem."""
    text = query.get(name, choices[0])
    if text not in choices:
        raise Problem(400, "parameter_invalid", f"{name}: found {text[:40]!r}", f"expected one of {', '.join(choices)}")
    return text
