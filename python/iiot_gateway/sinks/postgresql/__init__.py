"""The sink for PostgreSQL and TimescaleDB: writes typed rows, and the sink's position in the same transaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from iiot_gateway.components import Metric, SinkComponent
from iiot_gateway.config.component import Variable
from iiot_gateway.sinks.postgresql.section import KEEP_CONFIRMED_S, PostgresqlSection, faults

if TYPE_CHECKING:
    from iiot_gateway.components import Building
    from iiot_gateway.config.schema import Config
    from iiot_gateway.findings import Finding, Running
    from iiot_gateway.sinks.base import Sink


def build(building: Building, name: str, section: PostgresqlSection) -> Sink:
    """Make the sink."""
    from iiot_gateway.sinks.postgresql.building import build_sink

    return build_sink(building, name, section)


def _doctor(config: Config, _running: Running) -> Iterator[Finding]:
    """Try each database."""
    from iiot_gateway.sinks.postgresql.doctor import databases

    return databases(config)


COMPONENT = SinkComponent(
    name="postgresql",
    section=PostgresqlSection,
    variables={"PGPASSWORD": Variable("password")},
    keep_confirmed_s=KEEP_CONFIRMED_S,
    faults=faults,
    build=build,
    doctor=_doctor,
    metrics=(
        Metric("rows", "iiot_sink_rows_total", "counter", "Rows that a database has committed since the start."),
        Metric("transactions", "iiot_sink_transactions_total", "counter", "Transactions that a database has committed since the start."),
        Metric("commit_s", "iiot_sink_commit_seconds_total", "counter", "How long these transactions took together."),
        Metric(
            "repeated",
            "iiot_sink_repeated_rows_total",
            "counter",
            "Rows left out since the start because they were there, with unique = true.",
        ),
        Metric(
            "left_out",
            "iiot_sink_left_out_values_total",
            "counter",
            "Values left out since the start because a table has no column for them.",
        ),
    ),
)
