"""Deletes the values of devices from PostgreSQL: rows, and their part of hourly roll-ups."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from iiot_gateway._native import PostgresConnection, PostgresError
from iiot_gateway.api.problem import Problem
from iiot_gateway.device_api.postgresql_archive import tables_of_devices
from iiot_gateway.sinks.postgresql import deletion, hypertables
from iiot_gateway.sinks.postgresql.plant import PLANS, Hourly
from iiot_gateway.sinks.postgresql.section import settings

if TYPE_CHECKING:
    from iiot_gateway.sinks.postgresql.section import PostgresqlSection


class PostgresqlKeeper:
    """Deletes from one database."""

    def __init__(self, name: str, section: PostgresqlSection) -> None:
        self.name = name
        self._section = section
        self._lock = threading.Lock()
        self._deleting: _Connected | None = None

    def refusal(self) -> Problem | None:
        """Return why the sink cannot delete: the rights that its role lacks. A server that does not answer may delete later."""
        try:
            with self._lock, _Connected(self._section) as ask:
                lacking = list(self._lacking(ask))
        except PostgresError:
            return None
        if not lacking:
            return None
        names = ", ".join(lacking)
        return Problem(
            501,
            "delete_unsupported",
            f"[{self.name}] the gateway's role lacks rights on {names}",
            f"GRANT SELECT, DELETE ON {names} to it (and INSERT ON the sums); nothing was deleted",
        )

    def delete(self, device_id: str, start_ns: int, stop_ns: int) -> None:
        """Delete the rows of a device. Raises Problem."""
        try:
            with self._lock, _Connected(self._section) as ask:
                self._deleting = ask
                for table in tables_of_devices(self._section.schema, ask.query):
                    hourly = _rolled_up(self._section.schema, table, ask)
                    ask.query(deletion.of_table(self._section.schema, table, hourly, device_id, start_ns, stop_ns))
                if ask.has_extension:
                    self._refresh(ask, start_ns, stop_ns)
        except PostgresError as error:
            remedy = "grant SELECT and DELETE to the gateway's role" if error.sqlstate == "42501" else "it is tried again"
            raise Problem(503, "archive_unavailable", f"[{self.name}] {error}", remedy, {"retry-after": "5"}) from error

    def cancel(self) -> None:
        """Stop waiting for the running transaction; the server may still finish it."""
        if self._deleting is not None:
            self._deleting.cancel()

    def _lacking(self, ask: _Connected) -> Iterator[str]:
        schema = self._section.schema
        tables = list(tables_of_devices(schema, ask.query))
        sums = [f"{hourly.name}_sums" for table in tables if (hourly := _rolled_up(schema, table, ask))]
        for names, rights in ((tables, ("SELECT", "DELETE")), (sums, ("SELECT", "DELETE", "INSERT"))):
            if names:
                for (name,) in ask.query(deletion.lacking(schema, names, rights)):
                    yield f"{schema}.{name}"

    def _refresh(self, ask: _Connected, start_ns: int, stop_ns: int) -> None:
        """Refresh the hours of the span in every continuous aggregate, as far as its raw rows are kept."""
        schema = self._section.schema
        for view, oldest, until, is_span in ask.query(hypertables.windows(schema)):
            if is_span != "t":
                continue
            for first, last in ask.query(deletion.window(start_ns, stop_ns, str(oldest), str(until))):
                ask.query(hypertables.refresh(schema, str(view), str(first), str(last)))


class _Connected:
    """A connection for a while."""

    def __init__(self, section: PostgresqlSection) -> None:
        self._connection = PostgresConnection(settings(section))
        self.has_extension = False

    def __enter__(self) -> Self:
        _version, extension = self._connection.connect()
        self.has_extension = extension is not None
        return self

    def __exit__(self, *_error: object) -> None:
        self._connection.close()

    def cancel(self) -> None:
        """Stop waiting for the running statements: they, and all later ones, end with PostgresError."""
        self._connection.cancel()

    def query(self, sql: str) -> list[list[str | None]]:
        """Return the rows of statements; several statements are one transaction. Raises PostgresError."""
        return self._connection.query(sql)


def _rolled_up(schema: str, table: str, ask: _Connected) -> Hourly | None:
    """Return the roll-up of a table whose sums are in a separate table."""
    for plan in PLANS.values():
        if plan.hourly.table == table:
            return plan.hourly if ask.query(deletion.has_sums(schema, plan.hourly)) else None
    return None
