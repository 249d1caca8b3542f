"""Statements that list the tables of a schema, their sizes, and the newest rows of a table. Pure: no statement is run here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from iiot_gateway._native import postgres_literal, postgres_name
from iiot_gateway.sinks.postgresql.schema import qualified

TIME = "time"
HIDDEN = "content_id"
"""The digest that `unique = true` keeps beside a row; nobody reads it."""

READABLE = "SET timezone = 'UTC'; SET datestyle = 'ISO'; SET extra_float_digits = 1"
"""So that a time looks the same whatever the server is set to."""

MEASUREMENTS = """\
SELECT c.relname, pg_get_partkeydef(c.oid) IN ('RANGE (time)', 'RANGE ("time")')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = 'time' AND a.atttypid = 'timestamptz'::regtype AND NOT a.attisdropped
WHERE n.nspname = {schema} AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1"""
COLUMNS = """\
SELECT a.attname, a.attnotnull, a.atttypid = 'text'::regtype
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = {schema} AND c.relname = {table} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
SIZES = """\
WITH RECURSIVE part (root, oid) AS (
    SELECT c.oid, c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = {schema} AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    UNION ALL SELECT p.root, i.inhrelid FROM part p JOIN pg_catalog.pg_inherits i ON i.inhparent = p.oid
)
SELECT r.relname, count(*) FILTER (WHERE p.oid <> p.root),
    coalesce(sum(greatest(c.reltuples, 0)) FILTER (WHERE c.relkind = 'r'), 0)::bigint,
    sum(pg_table_size(c.oid)),
    sum(pg_indexes_size(c.oid)), sum(pg_total_relation_size(c.oid))
FROM part p JOIN pg_catalog.pg_class c ON c.oid = p.oid JOIN pg_catalog.pg_class r ON r.oid = p.root GROUP BY 1 ORDER BY 1"""
INDEXES = """\
WITH RECURSIVE part (root, oid) AS (
    SELECT x.indexrelid, x.indexrelid FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = {schema} AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    UNION ALL SELECT p.root, i.inhrelid FROM part p JOIN pg_catalog.pg_inherits i ON i.inhparent = p.oid
)
SELECT t.relname, r.relname, sum(pg_relation_size(p.oid)) FROM part p JOIN pg_catalog.pg_class r ON r.oid = p.root
JOIN pg_catalog.pg_index x ON x.indexrelid = p.root JOIN pg_catalog.pg_class t ON t.oid = x.indrelid GROUP BY 1, 2 ORDER BY 1, 2"""
OWNED = """\
SELECT c.relname, pg_has_role(c.relowner, 'USAGE') OR pg_has_role(d.datdba, 'USAGE')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, pg_catalog.pg_database d
WHERE n.nspname = {schema} AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND d.datname = current_database() ORDER BY 1"""


def measurements(schema: str) -> str:
    """List the tables that have a time column, and whether each is partitioned by it."""
    return MEASUREMENTS.format(schema=postgres_literal(schema))


def columns(schema: str, table: str) -> str:
    """List the columns of a table: name, whether the column is NOT NULL, and whether it is text."""
    return COLUMNS.format(schema=postgres_literal(schema), table=postgres_literal(table))


def sizes(schema: str) -> str:
    """List all tables: name, partitions, rows (as of the last ANALYZE), bytes of rows, of indexes, and of both."""
    return SIZES.format(schema=postgres_literal(schema))


def indexes(schema: str) -> str:
    """List the indexes of all tables: table, name, bytes. Those of chunks are not among them."""
    return INDEXES.format(schema=postgres_literal(schema))


def owned(schema: str) -> str:
    """List all tables, and whether the user may VACUUM each: for a table without this right, the server only warns."""
    return OWNED.format(schema=postgres_literal(schema))


def newest_times(schema: str, tables: Iterable[str], since_s: float) -> str:
    """Query, for each table and the last `since_s` seconds: the newest time, its age in seconds, and the number of rows."""
    return " UNION ALL ".join(
        f"SELECT {postgres_literal(table)}, max(time), round(extract(epoch FROM now() - max(time))), count(*) "
        f"FROM {qualified(schema, table)} WHERE time > {_begin(since_s)}"
        for table in tables
    )


def newest_rows(
    schema: str, table: str, by: Sequence[str], shown: Sequence[str], where: Mapping[str, str], since_s: float, limit: int, *, as_json: bool
) -> str:
    """Query the newest row of each series: time, age in seconds, then the columns."""
    series = ", ".join(map(postgres_name, by))
    order = f"{series}, {postgres_name(TIME)} DESC" if by else f"{postgres_name(TIME)} DESC"
    conditions = "".join(f" AND {postgres_name(column)} = {postgres_literal(value)}" for column, value in where.items())
    wanted = ", ".join([postgres_name(TIME), "round(extract(epoch FROM now() - time)) AS age_s", *map(postgres_name, shown)])
    rows = (
        f"SELECT {f'DISTINCT ON ({series}) ' if by else ''}{wanted} FROM {qualified(schema, table)} "
        f"WHERE time > {_begin(since_s)}{conditions} ORDER BY {order} LIMIT {limit if by else 1}"
    )
    return f"SELECT row_to_json(newest) FROM ({rows}) AS newest" if as_json else rows


def _begin(since_s: float) -> str:
    return f"now() - interval '{since_s:.6f} seconds'"
