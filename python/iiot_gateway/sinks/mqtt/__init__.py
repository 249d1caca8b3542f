"""The MQTT sink: publishes one topic per metric, to a broker or the built-in one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from iiot_gateway.components import Metric, SinkComponent
from iiot_gateway.sinks.mqtt.section import MqttSection, faults, notes, publishes_below

if TYPE_CHECKING:
    from iiot_gateway.components import Building
    from iiot_gateway.config.schema import Config
    from iiot_gateway.findings import Finding, Running
    from iiot_gateway.sinks.base import Sink


def build(building: Building, name: str, section: MqttSection) -> Sink:
    """Make the sink."""
    from iiot_gateway.sinks.mqtt.building import build_sink

    return build_sink(building, name, section)


def _doctor(config: Config, _running: Running) -> Iterator[Finding]:
    """Try each broker."""
    from iiot_gateway.sinks.mqtt.doctor import brokers

    return brokers(config)


COMPONENT = SinkComponent(
    name="mqtt",
    section=MqttSection,
    template="shown",
    faults=faults,
    notes=notes,
    publishes_below=publishes_below,
    build=build,
    doctor=_doctor,
    metrics=(
        Metric("publishes", "iiot_sink_publishes_total", "counter", "Publishes sent since the start."),
        Metric(
            "late",
            "iiot_sink_late_publishes_total",
            "counter",
            "Values sent since the start that were older than the newest of their topic.",
        ),
        Metric(
            "refreshed",
            "iiot_sink_refreshed_topics_total",
            "counter",
            "Retained topics brought up to date since the start, after a connection was made.",
        ),
        Metric("in_flight", "iiot_sink_in_flight_publishes", "gauge", "Publishes that wait for their acknowledgement."),
    ),
)
