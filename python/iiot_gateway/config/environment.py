"""Reads environment variables, which override the file: `IIOT_SECTION__KEY`, and names of other programs, such as InfluxDB's tools.

IIOT_MQTT__BROKER_URL=...         [mqtt] broker_url
IIOT_MQTT__BACKUP__BROKER_URL=... [mqtt.backup] broker_url
INFLUXDB_TOKEN (_URL, _ORG, _BUCKET)  the one section of an InfluxDB; of several, [influxdb]
INFLUXDB_TIMEOUT, _FLUSH_INTERVAL (milliseconds), _BATCH_SIZE  the same
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from iiot_gateway.config.component import Component
from iiot_gateway.config.keys import Key, keys_of
from iiot_gateway.config.sections import SECTIONS

PREFIX = "IIOT_"

Path = tuple[str, ...]


def overrides(environ: Mapping[str, str], tables: Mapping[str, Any], headers: AbstractSet[Path]) -> dict[Path, tuple[str, Any]]:
    """Return the keys that the environment sets: path -> (name of the variable, value, converted to the key's kind if possible).

    `headers` are the sections that have a header in the file.
    """
    found: dict[Path, tuple[str, Any]] = {}
    for component in SECTIONS.values():
        section = section_of_variables(component, tables, headers)
        if section is not None:
            for name, variable in component.variables.items():
                if environ.get(name):
                    found[*section, variable.key] = (name, _scaled(environ[name], keys_of(component.section)[variable.key], variable.per))
    for name, text in environ.items():
        if name.startswith(PREFIX) and "__" in name:
            path = tuple(part.lower() for part in name[len(PREFIX) :].split("__"))
            found[path] = (name, _read(text, _key_of(path)))
    return found


def section_of_variables(component: Component, tables: Mapping[str, Any], headers: AbstractSet[Path]) -> Path | None:
    """Return the section that other programs' variables apply to, if there is one. Such variables never create a section."""
    found = tables.get(component.name)
    if not component.variables or not isinstance(found, Mapping):
        return None
    named = [name for name, value in found.items() if isinstance(value, Mapping)]
    if (component.name,) in headers or len(named) < len(found) or not named:
        return (component.name,)
    return (component.name, named[0]) if len(named) == 1 else None


def unused(environ: Mapping[str, str], tables: Mapping[str, Any], headers: AbstractSet[Path]) -> list[str]:
    """Return a sentence for each component if it is not clear to which section other programs' variables apply."""
    sentences = []
    for component in SECTIONS.values():
        names = [name for name in component.variables if environ.get(name)]
        own = [name for name in names if name.startswith(f"{component.name.upper()}_")]
        if own and component.name not in tables:
            sentences.append(f"{', '.join(own)}: not used, because there is no [{component.name}]")
        elif names and component.name in tables and section_of_variables(component, tables, headers) is None:
            key = next(iter(component.variables.values())).key.upper()
            sentences.append(
                f"{', '.join(names)}: not used, because there are several [{component.name}.NAME]; "
                f"{PREFIX}{component.name.upper()}__NAME__{key} sets the {key.lower()} of one"
            )
    return sentences


def _key_of(path: Path) -> Key | None:
    component = SECTIONS.get(path[0])
    return None if component is None else keys_of(component.section).get(path[-1])


def _scaled(text: str, key: Key, per: float) -> Any:
    value = _read(text, key)
    return value / per if per != 1.0 and isinstance(value, int | float) and not isinstance(value, bool) else value


def _read(text: str, key: Key | None) -> Any:
    if key is None or key.kind in ("text", "path", "secret"):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text  # the check of kinds reports what was expected
