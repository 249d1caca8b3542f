"""Reads values in Telegraf's form: durations, URLs, globs, and names of nested keys."""

from __future__ import annotations

import itertools
import re
from typing import Any
from urllib.parse import urlsplit

MAX_PATTERNS = 256
MAX_PARTS = 4

UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)")

BROKER_SCHEMES = {"tcp": "mqtt", "mqtt": "mqtt", "ssl": "mqtts", "tls": "mqtts", "mqtts": "mqtts", "tcps": "mqtts"}


def duration_s(value: Any) -> float | None:
    """Read a duration such as `1m30s`, or a number of seconds. Return None for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        return None
    pieces = DURATION.findall(value)
    if "".join(number + unit for number, unit in pieces) != value or not pieces:
        return float(value) if re.fullmatch(r"\d+(\.\d+)?", value) else None
    return sum(float(number) * UNITS_S[unit] for number, unit in pieces)


def broker(server: str) -> tuple[str, str, str] | None:
    """Return URL, user and password of a broker; None if the gateway does not support such a connection."""
    text = server if "://" in server else f"tcp://{server}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    scheme = BROKER_SCHEMES.get(parts.scheme)
    if scheme is None or not parts.hostname or parts.path not in ("", "/"):
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{scheme}://{host}" + (f":{port}" if port else ""), parts.username or "", parts.password or ""


def patterns(globs: list[str]) -> list[str] | None:
    """Write globs with only `*` and `?`: alternatives and sets become several patterns. Return None if that is not possible."""
    found: list[str] = []
    for glob in globs:
        pieces = []
        for piece in re.findall(r"\\.|\{[^{}]*\}|\[[^\]]+\]|.", glob, re.DOTALL):
            choices = _choices(piece)
            if choices is None:
                return None
            pieces.append(choices)
        found += ["".join(choice) for choice in itertools.islice(itertools.product(*pieces), MAX_PATTERNS + 1)]
        if len(found) > MAX_PATTERNS:
            return None
    return list(dict.fromkeys(found))


def _choices(piece: str) -> list[str] | None:
    """Return the alternatives of a piece of a glob; None if it is not closed or has no pattern."""
    if len(piece) == 1:
        return None if piece in "{}[]" else [piece]
    if piece.startswith("\\"):
        return None if piece[1] in "*?" else [piece[1]]
    inside = piece[1:-1]
    if piece.startswith("{"):
        return inside.split(",") if not re.search(r"[\[\]\\]", inside) else None
    if inside.startswith(("!", "^")):
        return None
    found: list[str] = []
    for first, _, last in re.findall(r"(.)((?:-)(.))?", inside.replace("--", "")):
        found += [chr(code) for code in range(ord(first), ord(last or first) + 1)]
    return found


def is_named(name: str, globs: list[str]) -> bool:
    """Return whether a pattern of `patterns` matches a name."""
    return any(re.fullmatch(_expression(pattern), name, re.DOTALL) for pattern in globs)


def _expression(pattern: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)


def paths(name: str, separator: str) -> list[str]:
    """Return the possible paths of a joined name: `a_b` is the key `a_b`, or `b` in `a`. The key itself comes first."""
    parts = name.split(separator)
    if not all(parts) or len(parts) > MAX_PARTS:
        return [path(name)]
    found = []
    for breaks in itertools.product((False, True), repeat=len(parts) - 1):
        steps = [parts[0]]
        for is_break, part in zip(breaks, parts[1:], strict=True):
            if is_break:
                steps.append(part)
            else:
                steps[-1] += separator + part
        found.append(path(steps[0]) + "".join(f"[{step}]" if step.isdigit() else f".{path(step)}" for step in steps[1:]))
    return found


def path(key: str) -> str:
    """Return a key as a path of a profile. A numeric key is quoted, because a number in braces stands for a wildcard of the filter."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) and not key.isdigit() else f'"{key}"'


def query(text: str) -> str | None:
    """Return a simple GJSON query (`obj.list`, `list.0`) as a path of a profile; None for others. An empty query is the whole document."""
    if not text:
        return ""
    steps = re.findall(r"((?:\\.|[^.\\])+)(\.|$)", text)
    if "".join("".join(step) for step in steps) != text or text.endswith("."):
        return None
    found = ""
    for step, _dot in steps:
        key = re.sub(r"\\(.)", r"\1", step)
        if re.search(r'["{}\[\]\n]', key) or re.search(r"(?<!\\)[*?#|@!]", step):
            return None
        found += f"[{key}]" if key.isdigit() and found else f".{path(key)}"
    return found.removeprefix(".")
