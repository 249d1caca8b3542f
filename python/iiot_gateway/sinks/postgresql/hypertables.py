"""The statements of a plan that only TimescaleDB takes, in the calls that 2.0 and all later versions understand. Pure: nothing is run here.

An Apache-licensed build has hypertables, but no compression, no policies and no continuous aggregates: there the hourly view is computed
when it is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from iiot_gateway._native import postgres_hypertable, postgres_literal, postgres_name
from iiot_gateway.sinks.postgresql.plant import Hourly, Plan, Table
from iiot_gateway.sinks.postgresql.schema import create_table, indexes, qualified

START_OFFSET = "3 days"
"""A policy must cover two hours at least; what comes later than this is in the hourly view after a refresh of its hours only."""


def hypertables(plan: Plan, schema: str, keep_days: Mapping[str, float], *, is_apache: bool) -> Iterator[str]:
    """Give the statements for a server with the extension."""
    for table in plan.tables:
        yield create_table(table, schema)
        yield postgres_hypertable(schema, table.name)
        yield from indexes(table, schema)
    aggregate = _aggregate(plan.hourly, schema)
    view = qualified(schema, plan.hourly.name)
    if is_apache:
        yield f"CREATE OR REPLACE VIEW {view} AS {aggregate}"
        return
    for table in plan.tables:
        yield _compression(table, schema)
        name = postgres_literal(qualified(schema, table.name))
        yield f"SELECT add_compression_policy({name}, INTERVAL '{plan.compress_days:g} days', if_not_exists => true)"
    # Without `materialized_only = false` the newest hour is missing.
    options = "timescaledb.continuous, timescaledb.materialized_only = false"
    yield f"CREATE MATERIALIZED VIEW IF NOT EXISTS {view} WITH ({options}) AS {aggregate} WITH NO DATA"
    yield (
        f"SELECT add_continuous_aggregate_policy({postgres_literal(view)}, start_offset => INTERVAL '{START_OFFSET}', "
        f"end_offset => INTERVAL '1 hour', schedule_interval => INTERVAL '1 hour', if_not_exists => true)"
    )
    for measurement, days in keep_days.items():
        name = postgres_literal(qualified(schema, measurement))
        yield f"SELECT add_retention_policy({name}, INTERVAL '{days:g} days', if_not_exists => true)"


def _compression(table: Table, schema: str) -> str:
    """Turn compression on, once: settings cannot be changed when there are compressed chunks."""
    segments = postgres_literal(", ".join(map(postgres_name, table.segments)))
    known = f"hypertable_schema = {postgres_literal(schema)} AND hypertable_name = {postgres_literal(table.name)}"
    alter = f"ALTER TABLE {qualified(schema, table.name)} SET (timescaledb.compress, timescaledb.compress_segmentby = {segments})"
    is_on = f"SELECT FROM timescaledb_information.hypertables WHERE {known} AND compression_enabled"
    return f"DO $do$ BEGIN IF NOT EXISTS ({is_on}) THEN {alter}; END IF; END $do$"


def _aggregate(hourly: Hourly, schema: str) -> str:
    by = ", ".join(map(postgres_name, hourly.by))
    columns = [f"count(*) AS {postgres_name(hourly.count)}"]
    for column, total, average in hourly.sums:
        columns += [f"sum({postgres_name(column)}) AS {postgres_name(total)}"] if total else []
        columns += [f"avg({postgres_name(column)}) AS {postgres_name(average)}"] if average else []
    source = qualified(schema, hourly.table)
    return f"SELECT time_bucket(INTERVAL '1 hour', time) AS bucket, {by}, {', '.join(columns)} FROM {source} GROUP BY bucket, {by}"
