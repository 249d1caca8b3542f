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
    """List hypertables and, by their views' names, continuous aggregates.

    Gives name, chunks, rows (about), bytes of rows, of indexes, and of both.
    """
    return f"{HYPERTABLES}; {AGGREGATES}".format(schema=postgres_literal(schema))


def names(schema: str) -> str:
    """List hypertables."""
    return f"SELECT hypertable_name FROM timescaledb_information.hypertables WHERE hypertable_schema = {postgres_literal(schema)}"


def compression(schema: str) -> str:
    """List hypertables with compressed chunks: name, how many, and their bytes before and after."""
    return COMPRESSION.format(schema=postgres_literal(schema))


def windows(schema: str) -> str:
    """List continuous aggregates: name, from when to when each may be refreshed, and whether that is a span of time at all.

    A refresh beyond the raw rows deletes the buckets whose rows are gone. So a window begins not before the oldest chunk, and a day behind
    what the retention policy leaves, which may drop more meanwhile.
    """
    return WINDOWS.format(schema=postgres_literal(schema))


def refresh(schema: str, view: str, begin: str, end: str) -> str:
    """Refresh a continuous aggregate: only buckets that lie between the times as a whole. It cannot run in a transaction."""
    arguments = ", ".join(map(postgres_literal, (qualified(schema, view), begin, end)))
    return f"CALL refresh_continuous_aggregate({arguments})"
