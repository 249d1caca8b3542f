"""Statements that delete the rows of a device in a span of time, and correct the hourly roll-ups. Pure: no statement is run here.

In plain PostgreSQL, the sums of whole hours are deleted with their rows. The sums of an hour at an end of the span are computed again
from the rows that remain. The sums are locked meanwhile, so that rows which a sink adds at that moment are counted once.
"""

from __future__ import annotations

from collections.abc import Iterable

from iiot_gateway._native import postgres_literal, postgres_name
from iiot_gateway.sinks.postgresql.plant import Hourly
from iiot_gateway.sinks.postgresql.schema import qualified

HOUR_NS = 3_600_000_000_000
HOUR_OF_ROW = "date_trunc('hour', r.time AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'"


def of_table(schema: str, table: str, hourly: Hourly | None, device_id: str, start_ns: int, stop_ns: int) -> str:
    """Delete the rows of a device in [start_ns, stop_ns), Unix nanoseconds, and correct the sums of a roll-up, in one transaction."""
    rows = qualified(schema, table)
    within = f"r.{of_device(device_id)} AND r.time >= {moment(start_ns)} AND r.time < {moment(stop_ns)}"
    delete = f"DELETE FROM {rows} r WHERE {within}"
    if hourly is None:
        return delete
    sums = qualified(schema, _sums(hourly))
    device = f"s.{of_device(device_id)}"
    first, last = _hour(start_ns), _hour(stop_ns - 1)
    edges = ", ".join(moment(at) for at in sorted({first, last}))
    # If the rows of an hour are past their retention, only its sums remain. They are deleted only if the span covers the whole hour.
    whole = f"s.bucket >= {moment(start_ns)} AND s.bucket + interval '1 hour' <= {moment(stop_ns)}"
    touched = f"SELECT FROM {rows} r WHERE {within} AND r.time >= s.bucket AND r.time < s.bucket + interval '1 hour'"
    near = f"r.time >= {moment(first)} AND r.time < {moment(last + HOUR_NS)} AND {HOUR_OF_ROW} IN ({edges})"
    known = f"SELECT FROM {sums} s WHERE {device} AND s.bucket = {HOUR_OF_ROW}"
    columns, found = _columns(hourly)
    again = (
        f"INSERT INTO {sums} (bucket, {columns}) SELECT {HOUR_OF_ROW}, {found} FROM {rows} r "
        f"WHERE r.{of_device(device_id)} AND {near} AND NOT EXISTS ({known}) GROUP BY {_numbers(len(hourly.by) + 1)}"
    )
    statements = (
        f"LOCK TABLE {sums} IN SHARE ROW EXCLUSIVE MODE",
        f"DELETE FROM {sums} s WHERE {device} AND {whole}",
        f"DELETE FROM {sums} s WHERE {device} AND s.bucket IN ({edges}) AND EXISTS ({touched})",
        delete,
        again,
    )
    return "; ".join(statements)


def _columns(hourly: Hourly) -> tuple[str, str]:
    """Return the columns of the sums after `bucket`, and the expression for each, as in the trigger of the roll-up."""
    columns = [postgres_name(name) for name in hourly.by]
    found = [f"r.{postgres_name(name)}::text" for name in hourly.by]
    columns.append("row_count")
    found.append("count(*)")
    for column, *_ in hourly.sums:
        columns += [postgres_name(f"{column}_sum"), postgres_name(f"{column}_count")]
        found += [f"coalesce(sum(r.{postgres_name(column)}), 0)", f"count(r.{postgres_name(column)})"]
    return ", ".join(columns), ", ".join(found)


def has_sums(schema: str, hourly: Hourly) -> str:
    """Query one row if the sums of a roll-up are in a table of their own."""
    named = f"schemaname = {postgres_literal(schema)} AND tablename = {postgres_literal(_sums(hourly))}"
    return f"SELECT 1 FROM pg_catalog.pg_tables WHERE {named}"


def lacking(schema: str, tables: Iterable[str], rights: Iterable[str]) -> str:
    """List the tables on which the user lacks at least one of these rights."""
    names = ", ".join(map(postgres_literal, tables))
    has = " AND ".join(f"has_table_privilege(c.oid, {postgres_literal(right)})" for right in rights)
    return (
        "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE n.nspname = {postgres_literal(schema)} AND c.relname IN ({names}) AND NOT ({has}) ORDER BY 1"
    )


def window(start_ns: int, stop_ns: int, oldest: str, until: str) -> str:
    """Query the begin and end of the hours in a span that a continuous aggregate may refresh; no row if there is no whole hour."""
    begin, end = moment(_hour(start_ns)), moment(_hour(stop_ns - 1) + HOUR_NS)
    first = f"greatest({begin}, {postgres_literal(oldest)}::timestamptz) AS begin"
    last = f"least({end}, {postgres_literal(until)}::timestamptz) AS until"
    return f"SELECT w.begin, w.until FROM (SELECT {first}, {last}) AS w WHERE w.begin + interval '1 hour' <= w.until"


def of_device(device_id: str) -> str:
    """Return the condition that selects the rows of a device."""
    return f"device_id = {postgres_literal(device_id)}"


def moment(time_ns: int) -> str:
    """Return a time, given in Unix nanoseconds, as an expression. The time may be outside the range of Python's calendar."""
    return f"(to_timestamp(0) + interval '1 microsecond' * {time_ns // 1000})"


def _sums(hourly: Hourly) -> str:
    return f"{hourly.name}_sums"


def _numbers(count: int) -> str:
    return ", ".join(str(number) for number in range(1, count + 1))


def _hour(time_ns: int) -> int:
    return time_ns // HOUR_NS * HOUR_NS
