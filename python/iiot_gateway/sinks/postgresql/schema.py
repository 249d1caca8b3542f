"""The statements of a plan for plain PostgreSQL, and those for servers with and without TimescaleDB. Pure: no statement is run here.

Each statement can be run again; then it changes nothing. `hypertables.py` has the statements for TimescaleDB only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from iiot_gateway._native import (
    postgres_literal,
    postgres_name,
    postgres_partition_function,
    postgres_position_table,
    postgres_roll_up,
    postgres_time_bucket,
)
from iiot_gateway.sinks.postgresql.plant import Plan, Table

POSITIONS = "iiot_gateway_position"
CONTENT = "content_id"
"""The digest of what a row says, where each may be there once only; the sink fills the column."""
RETAIN = "iiot_gateway_retain"
"""The function that drops what is past its retention, for a role that may only write."""
ADD_PARTITION = "iiot_gateway_add_partition(text, text, timestamptz, timestamptz)"


RETAINS = """\
CREATE OR REPLACE FUNCTION {function} RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET lock_timeout = '10s' AS $function$
DECLARE child name;
BEGIN
    FOR child IN
        SELECT c.relname FROM (VALUES {ages}) AS kept (parent, age)
        JOIN pg_class p ON p.relname = kept.parent
        JOIN pg_namespace n ON n.oid = p.relnamespace AND n.nspname = {schema}
        JOIN pg_inherits i ON i.inhparent = p.oid
        JOIN pg_class c ON c.oid = i.inhrelid
        WHERE substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \\(''([^'']+)''\\)')::timestamptz <= now() - kept.age
    LOOP
        EXECUTE format('DROP TABLE %I.%I', {schema}, child);
        RETURN NEXT child;
    END LOOP;
    DELETE FROM {sums} WHERE bucket < now() - interval '{hourly_days} days';
END $function$"""


@dataclass(frozen=True, slots=True)
class Roles:
    """The roles that write and read."""

    writer: str
    reader: str


def qualified(schema: str, name: str) -> str:
    """Return a quoted name with its quoted schema."""
    return f"{postgres_name(schema)}.{postgres_name(name)}"


def schema_statement(schema: str) -> str:
    """Make the schema."""
    return f"CREATE SCHEMA IF NOT EXISTS {postgres_name(schema)}"


def plain(plan: Plan, schema: str, version: int, keep_days: Mapping[str, float]) -> Iterator[str]:
    """Yield the statements for a server without the extension."""
    yield postgres_time_bucket(schema, version)
    yield postgres_partition_function(schema)
    for table in plan.tables:
        yield f"{create_table(table, schema)} PARTITION BY RANGE (time)"
        yield from indexes(table, plan, schema)
    hourly = plan.hourly
    yield from postgres_roll_up(schema, hourly.table, hourly.name, by=hourly.by, count=hourly.count, sums=hourly.sums)
    yield from _retain(plan, schema, keep_days)


def create_table(table: Table, schema: str) -> str:
    """Make a table."""
    needed = [f"{postgres_name(name)} {kind} NOT NULL" for name, kind in {"time": "timestamptz", **table.needed}.items()]
    others = [f"{postgres_name(name)} {kind}" for name, kind in table.columns.items()]
    return f"CREATE TABLE IF NOT EXISTS {qualified(schema, table.name)} ({', '.join([*needed, *others])})"


def indexes(table: Table, plan: Plan, schema: str) -> Iterator[str]:
    """Make the indexes of a table."""
    if plan.is_unique:
        name, key = qualified(schema, table.name), postgres_name(f"{table.name}_content_key")
        yield f"ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {CONTENT} uuid"
        yield f"CREATE UNIQUE INDEX IF NOT EXISTS {key} ON {name} (time, {CONTENT})"
    for name, column in table.indexes.items():
        yield f"CREATE INDEX IF NOT EXISTS {postgres_name(name)} ON {qualified(schema, table.name)} ({postgres_name(column)}, time DESC)"


def latest(plan: Plan, schema: str) -> str:
    """Make the view of the newest rows."""
    by = ", ".join(map(postgres_name, plan.latest.by))
    source = qualified(schema, plan.latest.table)
    view = qualified(schema, plan.latest.name)
    return f"CREATE OR REPLACE VIEW {view} AS SELECT DISTINCT ON ({by}) * FROM {source} ORDER BY {by}, time DESC"


def _retain(plan: Plan, schema: str, keep_days: Mapping[str, float]) -> Iterator[str]:
    raw = {name: days for name, days in keep_days.items() if name != plan.hourly.name}
    function = f"{qualified(schema, RETAIN)}()"
    yield RETAINS.format(
        function=function,
        ages=", ".join(f"({postgres_literal(name)}, interval '{days:g} days')" for name, days in raw.items()),
        schema=postgres_literal(schema),
        sums=qualified(schema, plan.hourly.name + "_sums"),
        hourly_days=f"{keep_days[plan.hourly.name]:g}",
    )
    yield f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC"


def may_retain(schema: str) -> str:
    """Query one row if the function exists and the user may call it."""
    there = f"n.nspname = {postgres_literal(schema)} AND p.proname = {postgres_literal(RETAIN)}"
    return (
        "SELECT 1 FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace "
        f"WHERE {there} AND pg_catalog.has_function_privilege(p.oid, 'EXECUTE')"
    )


def roles(names: Roles) -> Iterator[str]:
    """Make a role that only writes and one that only reads, both without a password."""
    for name in (names.writer, names.reader):
        there = f"SELECT FROM pg_catalog.pg_roles WHERE rolname = {postgres_literal(name)}"
        yield f"DO $do$ BEGIN IF NOT EXISTS ({there}) THEN CREATE ROLE {postgres_name(name)} LOGIN; END IF; END $do$"


def rights(plan: Plan, schema: str, names: Roles, *, has_extension: bool) -> Iterator[str]:
    """Grant these roles the rights that they need, and make the table of positions."""
    writer, reader = postgres_name(names.writer), postgres_name(names.reader)
    tables = ", ".join(qualified(schema, table.name) for table in plan.tables)
    views = ", ".join(qualified(schema, name) for name in (plan.hourly.name, plan.latest.name))
    yield f"GRANT USAGE ON SCHEMA {postgres_name(schema)} TO {writer}, {reader}"
    yield f"GRANT INSERT ON {tables} TO {writer}"
    if plan.is_unique:
        # ON CONFLICT needs the right to read the columns that it compares.
        yield f"GRANT SELECT (time, {CONTENT}) ON {tables} TO {writer}"
    yield postgres_position_table(schema)
    yield f"GRANT SELECT, INSERT, UPDATE ON {qualified(schema, POSITIONS)} TO {writer}"
    if not has_extension:
        functions = f"{postgres_name(schema)}.{ADD_PARTITION}, {qualified(schema, RETAIN)}()"
        yield f"GRANT EXECUTE ON FUNCTION {functions} TO {writer}"
    yield f"GRANT SELECT ON {tables}, {views} TO {reader}"
