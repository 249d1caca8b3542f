"""The history sink: writes every point to a file on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from iiot_gateway.components import Metric, SinkComponent
from iiot_gateway.sinks.history.section import HistorySection, faults, writers

if TYPE_CHECKING:
    from iiot_gateway.components import Building
    from iiot_gateway.config.schema import Config
    from iiot_gateway.findings import Finding, Running
    from iiot_gateway.sinks.base import Sink


def build(building: Building, name: str, section: HistorySection) -> Sink:
    """Make the sink."""
    from iiot_gateway.sinks.history.sink import HistorySink

    return HistorySink(name, section, str(building.config.base / section.path), writers(building)[name])


def _doctor(config: Config, _running: Running) -> Iterator[Finding]:
    """Try each history."""
    from iiot_gateway.sinks.history.doctor import histories as tried_histories

    return tried_histories(config)


COMPONENT = SinkComponent(
    name="history",
    section=HistorySection,
    faults=faults,
    build=build,
    doctor=_doctor,
    metrics=(
        Metric("points", "iiot_sink_history_points", "gauge", "Points in a history."),
        Metric("bytes", "iiot_sink_history_bytes", "gauge", "Size of a history: pages in use."),
        Metric(
            "pruned_points",
            "iiot_sink_history_pruned_points_total",
            "counter",
            "Points that a history's limits of age and size took away since the start.",
        ),
    ),
)
