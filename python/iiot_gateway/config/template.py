"""The commented configuration file with every default; what it prints loads equal to the defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any

from iiot_gateway.config.keys import Key
from iiot_gateway.config.schema import (
    BrokerSection,
    GatewaySection,
    HistorySection,
    HomeAssistantSection,
    HttpSection,
    InfluxdbSection,
    JournalSection,
    LogSection,
    MqttConsumerSection,
    MqttSection,
    SerialSection,
    SimulateSection,
)
from iiot_gateway.config.secret import Secret

HEAD = """\
# Configuration of iiot-gateway. Every key stands here with its default; what you do not need may go.
# A sink exists if its section exists. A second one of a kind has a name: [mqtt.backup], [influxdb.factory].
# Every key can be set by the environment: IIOT_MQTT__BROKER_URL, IIOT_INFLUXDB__FACTORY__URL.
# Relative paths begin at this file's folder.
"""

WITHOUT_MEANING = {"channel_capacity"}


def template() -> str:
    """Return the text of the file."""
    parts = [
        HEAD,
        *_section("gateway", GatewaySection),
        *_section("serial", SerialSection, commented=True),
        *_section("simulate", SimulateSection, commented=True),
        *_section("mqtt_consumer", MqttConsumerSection, commented=True),
        *_section("mqtt", MqttSection),
        *_section("broker", BrokerSection),
        *_section("home_assistant", HomeAssistantSection),
        *_section("influxdb", InfluxdbSection),
        *_section("history", HistorySection, commented=True),
        *_section("journal", JournalSection),
        *_section("http", HttpSection),
        *_section("log", LogSection),
    ]
    return "\n".join(parts) + "\n"


def _section(name: str, section: type, *, commented: bool = False) -> Iterator[str]:
    mark = "# " if commented else ""
    doc = (section.__doc__ or "").partition(": ")[2].strip()
    yield f"## {doc[:1].upper()}{doc[1:]}"
    yield f"{mark}[{name}]"
    for field in fields(section):
        if field.name in WITHOUT_MEANING:
            continue
        key: Key = field.metadata["key"]
        yield f"## {key.doc}" + (f" ({key.expected()})" if key.choices else "")
        # A secret has no default, so its line stays a comment.
        yield f"{'# ' if key.kind == 'secret' else mark}{field.name} = {_value({} if field.default is MISSING else field.default)}"
    yield ""


def _value(value: Any) -> str:  # noqa: PLR0911 - one line a kind
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
