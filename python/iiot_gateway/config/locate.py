"""Finds the line of each key in a TOML file, because `tomllib` does not report lines.

A path is a tuple of keys. Tables, dotted keys and inline tables all have paths. Keys inside an array have the line of the array.
"""

from __future__ import annotations

from iiot_gateway._native import toml_places

Path = tuple[str, ...]


def places(text: str) -> tuple[dict[Path, int], set[Path]]:
    """Return the line of every key path of a valid TOML text, from 1, and every table that has a header.

    The headers are needed because `tomllib` does not distinguish `[name]` from a table that only its subtables imply.
    """
    lines, headers, _order = toml_places(text)
    return lines, headers


def lines_in_arrays(text: str) -> dict[tuple[str | int, ...], int]:
    """Do the same with the number of each table under `[[name]]` in the path: `("inputs", "cpu", 1, "percpu")`."""
    counts: dict[tuple[str | int, ...], int] = {}
    found: dict[tuple[str | int, ...], int] = {}

    def numbered(path: Path) -> tuple[str | int, ...]:
        place: tuple[str | int, ...] = ()
        for part in path:
            place = (*place, part)
            if place in counts:
                place = (*place, counts[place])
        return place

    for path, line, is_array in toml_places(text)[2]:
        if is_array:
            table = (*numbered(path[:-1]), path[-1])
            counts[table] = counts.get(table, -1) + 1
        found.setdefault(numbered(path), line)
    return found


def nearest_line(lines: dict[Path, int], path: Path) -> int:
    """Return the line of a path, or of its longest prefix that has a line; 0 if none has."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 0
