"""The sink for databases that accept line protocol: InfluxDB and VictoriaMetrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from iiot_gateway.components import SinkComponent
from iiot_gateway.config.component import Variable
from iiot_gateway.sinks.influxdb.section import InfluxdbSection, faults, notes

if TYPE_CHECKING:
    from iiot_gateway.components import Building
    from iiot_gateway.config.schema import Config
    from iiot_gateway.findings import Finding, Running
    from iiot_gateway.sinks.base import Sink


def build(building: Building, name: str, section: InfluxdbSection) -> Sink:
    """Make the sink."""
    from iiot_gateway.sinks.influxdb.building import build_sink

    return build_sink(building, name, section)


def _doctor(config: Config, _running: Running) -> Iterator[Finding]:
    """Try each database."""
    from iiot_gateway.sinks.influxdb.doctor import databases

    return databases(config)


COMPONENT = SinkComponent(
    name="influxdb",
    section=InfluxdbSection,
    template="shown",
    variables={
        **{f"INFLUXDB_{key.upper()}": Variable(key) for key in ("token", "url", "org", "bucket")},
        "INFLUXDB_TIMEOUT": Variable("timeout_s", per=1000.0),
        "INFLUXDB_BATCH_SIZE": Variable("batch_lines"),
        "INFLUXDB_FLUSH_INTERVAL": Variable("batch_interval_ms"),
    },
    faults=faults,
    notes=notes,
    build=build,
    doctor=_doctor,
)
