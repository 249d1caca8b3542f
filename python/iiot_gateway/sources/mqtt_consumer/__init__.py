"""The MQTT consumer: takes messages from a broker, or from the built-in one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from iiot_gateway.components import MessageSource
from iiot_gateway.sources.mqtt_consumer.section import MqttConsumerSection, faults, notes

if TYPE_CHECKING:
    from iiot_gateway.components import Building
    from iiot_gateway.config.schema import Config
    from iiot_gateway.findings import Finding, Running
    from iiot_gateway.sources.base import Source
    from iiot_gateway.sources.recording import MessageWriter


def build(building: Building, name: str, section: MqttConsumerSection) -> Source:
    """Make the source."""
    from iiot_gateway.sources.mqtt_consumer.building import build_consumer

    return build_consumer(building, name, section)


def record(config: Config, name: str, section: MqttConsumerSection, writer: MessageWriter) -> Source:
    """Make the source for `record`."""
    from iiot_gateway.sources.mqtt_consumer.building import build_recorder

    return build_recorder(config, name, section, writer)


def _doctor(config: Config, _running: Running) -> Iterator[Finding]:
    """Try each consumer."""
    from iiot_gateway.sources.mqtt_consumer.doctor import consumers

    return consumers(config)


COMPONENT = MessageSource(
    name="mqtt_consumer", section=MqttConsumerSection, faults=faults, notes=notes, build=build, record=record, doctor=_doctor
)
