"""On which line of a TOML file a key stands; `tomllib` does not say.

A path is a tuple of keys; tables, dotted keys and inline tables all give their paths. Keys inside of arrays are not looked for: their line
is that of the array.
"""

from __future__ import annotations

from iiot_gateway._native import toml_places

Path = tuple[str, ...]


def places(text: str) -> tuple[dict[Path, int], set[Path]]:
    """Return the line of every key path of a valid TOML text, from 1, and every table that a line of its own opens.

    `tomllib` does not tell an empty table from none.
    """
    return toml_places(text)


def nearest_line(lines: dict[Path, int], path: Path) -> int:
    """Return the line of a path, or of the longest part of it that has one; 0 if none has."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 0
