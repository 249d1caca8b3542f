"""The statements of a plan for TimescaleDB only, with calls that 2.0 and all later versions understand. Pure: no statement is run here.

An Apache-licensed build has hypertables, but no compression, no policies and no continuous aggregates. There the hourly view is computed
at each query.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from iiot_gateway._native import postgres_hypertable, postgres_literal, postgres_name
from iiot_gateway.sinks.postgresql.plant import Hourly, Plan, Table
from iiot_gateway.sinks.postgresql.schema import create_table, indexes, qualified

START_OFFSET = "3 days"
"""A policy must cover at least two hours. Rows that arrive later than this are in the hourly view only after a refresh of their hours."""


def hypertables(plan: Plan, schema: str, keep_days: Mapping[str, float], *, is_apache: bool) -> Iterator[str]:
    """Yield the statements for a server with the extension."""
    for table in plan.tables:
        yield create_table(table, schema)
        yield postgres_hypertable(schema, table.name)
        yield from indexes(table, plan, schema)
    aggregate = _aggregate(plan.hourly, schema)
    view = qualified(schema, plan.hourly.name)
    if is_apache:
        yield f"CREATE OR REPLACE VIEW {view} AS {aggregate}"
        return
    for table in plan.tables:
        yield _compression(table, schema)
        name = postgres_literal(qualified(schema, table.name))
        yield f"SELECT add_compression_policy({name}, INTERVAL '{plan.compress_days:g} days', if_not_exists => true)"
    # Without `materialized_only = false` the view lacks the newest hour.
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
    """Turn compression on once: its settings cannot be changed after chunks were compressed."""
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


HYPERTABLES = """\
SELECT h.hypertable_name, h.num_chunks, approximate_row_count(format('%I.%I', h.hypertable_schema, h.hypertable_name)::regclass),
    s.table_bytes, s.index_bytes, s.total_bytes
FROM timescaledb_information.hypertables h
CROSS JOIN LATERAL hypertable_detailed_size(format('%I.%I', h.hypertable_schema, h.hypertable_name)::regclass) AS s
WHERE h.hypertable_schema = {schema} ORDER BY 1"""
AGGREGATES = """\
SELECT v.view_name, (SELECT count(*) FROM show_chunks(m.name)), approximate_row_count(m.name), s.table_bytes, s.index_bytes, s.total_bytes
FROM timescaledb_information.continuous_aggregates v
CROSS JOIN LATERAL (SELECT format('%I.%I', v.materialization_hypertable_schema, v.materialization_hypertable_name)::regclass) AS m (name)
CROSS JOIN LATERAL hypertable_detailed_size(m.name) AS s WHERE v.view_schema = {schema} ORDER BY 1"""
COMPRESSION = """\
SELECT h.hypertable_name, s.number_compressed_chunks, s.before_compression_total_bytes, s.after_compression_total_bytes
FROM timescaledb_information.hypertables h
CROSS JOIN LATERAL hypertable_compression_stats(format('%I.%I', h.hypertable_schema, h.hypertable_name)::regclass) AS s
WHERE h.hypertable_schema = {schema} AND h.compression_enabled AND s.number_compressed_chunks > 0 ORDER BY 1"""
WINDOWS = """\
SELECT v.view_name, begin.at, date_trunc('hour', now()) AS until, begin.at < date_trunc('hour', now())
FROM timescaledb_information.continuous_aggregates v
CROSS JOIN LATERAL (SELECT greatest(
    (SELECT min(c.range_start) FROM timescaledb_information.chunks c
        WHERE c.hypertable_schema = v.hypertable_schema AND c.hypertable_name = v.hypertable_name),
    (SELECT now() - (j.config ->> 'drop_after')::interval + interval '1 day' FROM timescaledb_information.jobs j
        WHERE j.proc_name = 'policy_retention' AND j.hypertable_schema = v.hypertable_schema AND j.hypertable_name = v.hypertable_name)
)) AS begin (at)
WHERE v.view_schema = {schema} ORDER BY 1"""


def sizes(schema: str) -> str:
    """List hypertables, and continuous aggregates under the names of their views.

    The columns are name, chunks, approximate rows, bytes of rows, bytes of indexes, and bytes of both.
    """
    return f"{HYPERTABLES}; {AGGREGATES}".format(schema=postgres_literal(schema))


def names(schema: str) -> str:
    """List hypertables."""
    return f"SELECT hypertable_name FROM timescaledb_information.hypertables WHERE hypertable_schema = {postgres_literal(schema)}"


def compression(schema: str) -> str:
    """List hypertables with compressed chunks: name, number of these chunks, and their bytes before and after compression."""
    return COMPRESSION.format(schema=postgres_literal(schema))


def windows(schema: str) -> str:
    """List continuous aggregates: name, begin and end of the window that may be refreshed, and whether the begin is before the end.

    A refresh of a time without raw rows deletes the buckets of that time. So a window does not begin before the oldest chunk. It also
    begins one day after the limit of the retention policy, because the policy may drop more chunks meanwhile.
    """
    return WINDOWS.format(schema=postgres_literal(schema))


def refresh(schema: str, view: str, begin: str, end: str) -> str:
    """Refresh the buckets of a continuous aggregate that are entirely between two times. This cannot run in a transaction."""
    arguments = ", ".join(map(postgres_literal, (qualified(schema, view), begin, end)))
    return f"CALL refresh_continuous_aggregate({arguments})"
