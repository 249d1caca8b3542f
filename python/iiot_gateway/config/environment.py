"""The environment over the file: `IIOT_SECTION__KEY`, and the four names that InfluxDB's own tools know.

IIOT_MQTT__BROKER_URL=...         [mqtt] broker_url
IIOT_MQTT__BACKUP__BROKER_URL=... [mqtt.backup] broker_url
INFLUXDB_TOKEN (_URL, _ORG, _BUCKET)  the one section of an InfluxDB; of several, [influxdb]
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import Field, fields
from typing import Any

from iiot_gateway.config.keys import Key
from iiot_gateway.config.schema import MANY, SINGLE

PREFIX = "IIOT_"
INFLUXDB_NAMES = {f"INFLUXDB_{key.upper()}": key for key in ("token", "url", "org", "bucket")}

Path = tuple[str, ...]


def overrides(environ: Mapping[str, str], tables: Mapping[str, Any], headers: AbstractSet[Path]) -> dict[Path, tuple[str, Any]]:
    """Return what the environment sets: path -> (name of the variable, value in the key's kind as far as it can be read).

    `headers` are the sections that have a line of their own in the file.
    """
    found: dict[Path, tuple[str, Any]] = {}
    section = influxdb_section(tables, headers)
    if section is not None:
        for name, key in INFLUXDB_NAMES.items():
            if environ.get(name):
                found[*section, key] = (name, environ[name])
    for name, text in environ.items():
        if name.startswith(PREFIX) and "__" in name:
            path = tuple(part.lower() for part in name[len(PREFIX) :].split("__"))
            found[path] = (name, _read(text, _key_of(path)))
    return found


def influxdb_section(tables: Mapping[str, Any], headers: AbstractSet[Path]) -> Path | None:
    """Return the section that InfluxDB's own names are about, if there is one; they never make a section."""
    influxdb = tables.get("influxdb")
    if not isinstance(influxdb, Mapping):
        return None
    named = [name for name, value in influxdb.items() if isinstance(value, Mapping)]
    if ("influxdb",) in headers or len(named) < len(influxdb) or not named:
        return ("influxdb",)
    return ("influxdb", named[0]) if len(named) == 1 else None


def unused(environ: Mapping[str, str], tables: Mapping[str, Any], headers: AbstractSet[Path]) -> list[str]:
    """Return a sentence about InfluxDB's own names where it is not clear which section they are about."""
    names = [name for name in INFLUXDB_NAMES if environ.get(name)]
    if not names or "influxdb" not in tables or influxdb_section(tables, headers) is not None:
        return []
    return [f"{', '.join(names)}: not used, because there are several [influxdb.NAME]; IIOT_INFLUXDB__NAME__TOKEN sets the token of one"]


def _key_of(path: Path) -> Key | None:
    section = SINGLE.get(path[0]) or MANY.get(path[0])
    if section is None:
        return None
    declared: tuple[Field[Any], ...] = fields(section)
    return next((f.metadata["key"] for f in declared if f.name == path[-1]), None)


def _read(text: str, key: Key | None) -> Any:
    if key is None or key.kind in ("text", "path", "secret"):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text  # the check of kinds says what was expected
