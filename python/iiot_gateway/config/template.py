"""Makes the commented configuration file with every default. Loading the file gives the defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any

from iiot_gateway.config.component import Component, is_list
from iiot_gateway.config.keys import keys_of
from iiot_gateway.config.secret import Secret
from iiot_gateway.config.sections import SECTIONS

HEAD = """\
# Configuration of iiot-gateway. Every key stands here with its default; what you do not need may go.
# A sink exists if its section exists. A second one of a kind has a name: [mqtt.backup], [influxdb.factory].
# Every key can be set by the environment: IIOT_MQTT__BROKER_URL, IIOT_INFLUXDB__FACTORY__URL.
# Relative paths begin at this file's folder.
"""


def template() -> str:
    """Return the text of the file."""
    lines = (line for component in SECTIONS.values() if component.template != "absent" for line in _section(component))
    return "\n".join([HEAD, *lines]) + "\n"


def _section(component: Component) -> Iterator[str]:
    mark = "# " if component.template == "commented" else ""
    if is_list(component):
        yield f"## {(component.section.__doc__ or '').partition(': ')[2].strip()}"
        yield f"# [[{component.name}]]"
        yield from (f"# {line}" for line in component.example.splitlines())
        yield ""
        return
    doc = (component.section.__doc__ or "").partition(": ")[2].strip()
    yield f"## {doc[:1].upper()}{doc[1:]}"
    yield f"{mark}[{component.name}]"
    defaults = {field.name: {} if field.default is MISSING else field.default for field in fields(component.section)}
    for name, key in keys_of(component.section).items():
        if key.without_meaning:
            continue
        yield f"## {key.doc}" + (f" ({key.expected()})" if key.choices else "")
        # A secret has no default, so its line stays a comment.
        yield f"{'# ' if key.kind == 'secret' else mark}{name} = {_value(defaults[name])}"
    yield ""


def _value(value: Any) -> str:  # noqa: PLR0911 - one line per kind
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Secret):
        return '""'
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, tuple):
        return "[]"
    if isinstance(value, Mapping):
        return "{}"
    return str(value)
