"""Reads a file of environment variables, like `.env` files: one NAME=VALUE per line, quotes around values, `#` before comments.

Nothing is expanded: a dollar sign is a dollar sign. A backslash has a meaning only within double quotes.
"""

from __future__ import annotations

import re

LINE = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*(.*)", re.DOTALL)
SINGLE = re.compile(r"'([^']*)'[ \t]*(?:#.*)?")
DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"[ \t]*(?:#.*)?')
COMMENT = re.compile(r"(?:^|[ \t]+)#.*")
ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}


def read_variables(text: str) -> tuple[dict[str, str], list[tuple[int, str]]]:
    """Return the variables, and each fault with its line."""
    found: dict[str, str] = {}
    faults: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = LINE.fullmatch(stripped)
        value = None if match is None else _value(match[2])
        if match is None or value is None:
            # The line is not quoted, because it may hold a secret.
            faults.append((number, "expected NAME=VALUE, with the value in quotes if it holds quotes or #"))
        else:
            found[match[1]] = value
    return found, faults


def _value(text: str) -> str | None:
    if text.startswith("'"):
        single = SINGLE.fullmatch(text)
        return None if single is None else single[1]
    if text.startswith('"'):
        double = DOUBLE.fullmatch(text)
        return None if double is None else re.sub(r"\\(.)", lambda found: ESCAPED.get(found[1], found[1]), double[1])
    return COMMENT.sub("", text).rstrip()
