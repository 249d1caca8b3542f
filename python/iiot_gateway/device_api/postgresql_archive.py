"""PostgreSQL as an archive of the values of devices: every table of the schema that has `time` and `device_id`.

Names come from the catalogue and are quoted; what a request says becomes a literal by the extension's quoting.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from iiot_gateway._native import PostgresConnection, PostgresError, postgres_literal, postgres_name
from iiot_gateway.api.problem import Problem
from iiot_gateway.device_api.archive import Question, Value
from iiot_gateway.sinks.postgresql.deletion import moment, of_device
from iiot_gateway.sinks.postgresql.section import settings

if TYPE_CHECKING:
    from iiot_gateway.sinks.postgresql.section import PostgresqlSection

NUMBERS = frozenset({"double precision", "real", "numeric", "bigint", "integer", "smallint"})
COLUMNS = """
SELECT c.table_name, c.column_name, c.data_type
FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
WHERE c.table_schema = {schema} AND t.table_type = 'BASE TABLE'
AND (SELECT count(*) FROM information_schema.columns k WHERE k.table_schema = c.table_schema AND k.table_name = c.table_name
     AND k.column_name IN ('time', 'device_id')) = 2
AND NOT EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhrelid = format('%I.%I', c.table_schema, c.table_name)::regclass)
ORDER BY c.table_name, c.ordinal_position
"""
NANOSECONDS = "(extract(epoch FROM time) * 1000000)::bigint::text || '000'"


class PostgresqlArchive:
    """Queries a database, one query at a time."""

    name = "postgresql"

    def __init__(self, section: PostgresqlSection) -> None:
        self._section = section
        self._lock = threading.Lock()

    def values(self, question: Question) -> list[Value]:
        """Return values by time, the newest `limit` of them. Raises Problem."""
        condition = f"{of_device(question.device_id)} AND time >= {moment(question.start_ns)} AND time < {moment(question.stop_ns)}"
        found = self._rows(question.measurement, condition, question.limit)
        found.sort(key=lambda value: value.time_ns)
        return found[-question.limit :]

    def latest(self, device_id: str, measurement: str | None) -> list[Value]:
        """Return the newest value per field. Raises Problem."""
        newest: dict[tuple[str, str], Value] = {}
        for value in self._rows(measurement, of_device(device_id), 100):
            key = (value.measurement, value.field)
            if key not in newest or value.time_ns > newest[key].time_ns:
                newest[key] = value
        return list(newest.values())

    def version(self) -> str:
        """Return the server's version. Raises Problem."""
        return str(self._ask("SHOW server_version")[0][0])

    def _rows(self, measurement: str | None, condition: str, limit: int) -> list[Value]:
        schema = postgres_name(self._section.schema)
        found: list[Value] = []
        for table, columns in tables_of_devices(self._section.schema, self._ask).items():
            if measurement is not None and table != measurement:
                continue
            order = f"ORDER BY time DESC LIMIT {limit}"
            listed = f"SELECT {NANOSECONDS} AS ns, to_jsonb(t) AS row FROM {schema}.{postgres_name(table)} t WHERE {condition} {order}"
            for ns, row in self._ask(listed):
                found += _values(table, columns, int(ns or 0), json.loads(row or "{}"))
        return found

    def _ask(self, sql: str) -> list[list[str | None]]:
        with self._lock:
            try:
                connection = PostgresConnection(settings(self._section))
                connection.connect()
                try:
                    return connection.query(sql)
                finally:
                    connection.close()
            except PostgresError as error:
                remedy = "grant SELECT to the gateway's role, or keep a [history]" if error.sqlstate == "42501" else "ask again later"
                raise Problem(503, "archive_unavailable", f"PostgreSQL cannot be asked: {error}", remedy, {"retry-after": "5"}) from error


def tables_of_devices(schema: str, ask: Callable[[str], list[list[str | None]]]) -> dict[str, dict[str, str]]:
    """Return the tables with the columns `time` and `device_id`, each with the types of its columns."""
    tables: dict[str, dict[str, str]] = {}
    for table, column, kind in ask(COLUMNS.format(schema=postgres_literal(schema))):
        tables.setdefault(str(table), {})[str(column)] = str(kind)
    return tables


def _values(table: str, columns: dict[str, str], time_ns: int, row: dict[str, Any]) -> list[Value]:
    """Split a row into tags, which are texts, and fields. Values without a column are in `extra`."""
    extra = row.pop("extra", None)
    named = {**row, **(extra if isinstance(extra, dict) else {})}
    kept = {name: value for name, value in named.items() if name not in ("time", "device_id", "content_id") and value is not None}
    tags = {name: value for name, value in kept.items() if isinstance(value, str) and columns.get(name) not in NUMBERS}
    fields = {name: value for name, value in kept.items() if name not in tags}
    return [Value(time_ns=time_ns, measurement=table, field=name, value=value, tags=tags) for name, value in fields.items()]
