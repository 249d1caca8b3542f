"""Reads a file of Telegraf into its sections, each with the lines of its keys."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from iiot_gateway.config.locate import lines_in_arrays
from iiot_gateway.errors import ConfigError, Fault
from iiot_gateway.telegraf import environment
from iiot_gateway.telegraf.section import KeyPath, Section

KINDS = ("inputs", "outputs", "processors", "aggregators", "secretstores")
"""Tables that hold plugins."""


def read(text: str, place: str, environ: Mapping[str, str]) -> list[Section]:
    """Return every section in the order of the file. Raises ConfigError if the text is no TOML."""
    text = environment.quoted(text)
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise ConfigError([Fault(place, int(line[1]) if line else 0, "", f"not valid TOML: {error}")]) from error
    lines = lines_in_arrays(text)
    sections = []
    for path, values in _tables(tables):
        own = {found[len(path) :]: line for found, line in lines.items() if found[: len(path)] == path}
        first = own.get((), min(own.values(), default=0))
        name = ".".join(str(part) for part in path if isinstance(part, str))
        sections.append(Section(name, place, first, values, own, environ))
    return sorted(sections, key=lambda section: section.line)


def _tables(tables: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    """Yield each table that is reported as one section: a plugin, another table, or the keys outside of any table."""
    loose = {name: value for name, value in tables.items() if not isinstance(value, dict) and not _is_list_of_tables(value)}
    if loose:
        yield (), loose
    for name, value in tables.items():
        if name in loose:
            continue
        if name not in KINDS or not isinstance(value, dict):
            yield from _plugins((name,), value)
            continue
        for plugin, instances in value.items():
            yield from _plugins((name, plugin), instances)


def _plugins(path: KeyPath, value: Any) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    if isinstance(value, dict):
        yield path, value
    elif _is_list_of_tables(value):
        for number, instance in enumerate(value):
            yield (*path, number), instance
    else:
        yield path[:-1], {str(path[-1]): value}


def _is_list_of_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)
