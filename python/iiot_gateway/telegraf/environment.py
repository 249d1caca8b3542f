"""Resolves references to the environment in Telegraf's files: `${NAME}`, `${NAME:-default}`, `$NAME`."""

from __future__ import annotations

import re
from collections.abc import Mapping

REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*)(?:(:?[-?])([^}]*))?\}")
BARE = re.compile(r"\$([A-Z_][A-Z0-9_]*)")
STORE = re.compile(r"@\{\w+:\w+\}")
TOKEN = re.compile(
    r'#[^\n]*|"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|\$\{[^}\n]*\}|\$[A-Za-z_]\w*',
    re.DOTALL,
)
"""The tokens that may hold a dollar sign in TOML: comments, texts, and the references that Telegraf replaces before it reads the file."""


def quoted(text: str) -> str:
    """Put references outside of texts in quotes, so that the file is TOML."""
    return TOKEN.sub(lambda token: f'"{token[0]}"' if token[0].startswith("$") else token[0], text)


def names(text: str) -> list[str]:
    """Return the variables that a text refers to."""
    if bare := BARE.fullmatch(text):
        return [bare[1]]
    return [reference[1] for reference in REFERENCE.finditer(text)]


def stored(text: str) -> bool:
    """Return whether a text refers to a secret store."""
    return STORE.search(text) is not None


def resolved(text: str, environ: Mapping[str, str]) -> tuple[str, list[str]]:
    """Return the text with its references replaced, and the variables that have no value."""
    missing: list[str] = []

    def value(name: str, operator: str, default: str) -> str:
        found = environ.get(name)
        if found is not None and (found or not operator.startswith(":")):
            return found
        if operator.endswith("-"):
            return default
        missing.append(name)
        return ""

    if bare := BARE.fullmatch(text):
        return value(bare[1], "", ""), missing
    return REFERENCE.sub(lambda found: value(found[1], found[2] or "", found[3] or ""), text), missing
