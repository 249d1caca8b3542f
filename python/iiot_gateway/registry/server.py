"""The registry in a PostgreSQL that several gateways may share: one connection reads, another writes, a third listens for changes.

Blocking. Connections are opened when they are needed. A writer first locks the row of the revision, so that no other writes happen
meanwhile, as in SQLite.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from iiot_gateway._native import PostgresConnection, PostgresError
from iiot_gateway.errors import RegistryUnusable
from iiot_gateway.registry.dialect import REPEATED, argument, translated
from iiot_gateway.registry.server_schema import BEGIN, ServerPlace, remedy
from iiot_gateway.registry.watch import Watch

LOCK = "SELECT number FROM revision FOR UPDATE"
REVISION = "SELECT number FROM revision"


class RegistryServer:
    """The tables of a registry in PostgreSQL. Methods may be called from any thread."""

    is_server = True

    def __init__(self, place: ServerPlace) -> None:
        self.place = place
        self._reader = _Link(place)
        self._writer = _Link(place)
        self._watch: Watch | None = None

    def watch(self, patience_s: float) -> None:
        """Listen for changes from now on. While the server does not report changes, every method raises RegistryUnusable.

        Waits at most `patience_s` for the server. Raises RegistryUnusable at once for tables that this program cannot use.
        """
        self._watch = Watch(self.place)
        self._watch.start(patience_s)

    def close(self) -> None:
        """Close the connections."""
        if self._watch is not None:
            self._watch.end()
        self._reader.close()
        self._writer.close()

    def generation(self) -> int:
        """Return a number that changes with each relevant change of devices or keys. While it is watched, this needs no query."""
        if self._watch is not None:
            return self._watch.generation()
        (number,) = self.one(REVISION) or (0,)
        return int(number)

    def one(self, statement: str, *arguments: Any) -> tuple[Any, ...] | None:
        """Return the first row of a query. Raises RegistryUnusable."""
        with self.read() as asking:
            row: tuple[Any, ...] | None = asking.execute(statement, arguments).fetchone()
        return row

    @contextmanager
    def read(self) -> Iterator[_Asking]:
        """Read. Raises RegistryUnusable."""
        with self._reader.lock, self._usable():
            yield _Asking(self._reader, may_connect=True)

    @contextmanager
    def write(self) -> Iterator[_Asking]:
        """Write in one transaction, which an error rolls back; nobody else writes meanwhile. Raises RegistryUnusable.

        If the connection breaks during the commit, its result is unknown: RegistryUnusable is raised, and all cached data is forgotten.
        """
        with self._writer.lock, self._usable():
            self._writer.ask(BEGIN, (), may_connect=True)
            asking = _Asking(self._writer, may_connect=False)
            try:
                self._lock(asking)
                yield asking
                revision = asking.execute(REVISION).fetchone()[0] if self._watch is not None else 0
            except BaseException:
                with suppress(PostgresError):
                    self._writer.ask("ROLLBACK", (), may_connect=False)
                raise
            try:
                self._writer.ask("COMMIT", (), may_connect=False)
            except PostgresError:
                if self._watch is not None:
                    self._watch.doubt()
                raise
            if self._watch is not None:
                self._watch.reached(revision)

    def _lock(self, asking: _Asking) -> None:
        if asking.execute(LOCK).fetchone() is None:
            raise RegistryUnusable(self.place.shown, "the row of its revision is missing", "restore the schema from a backup")

    def repeated(self, error: Exception) -> str | None:
        """Return the column, such as `device.name`, whose value another row already has, if this is the cause of a statement's error."""
        return REPEATED.get(error.constraint or "") if isinstance(error, PostgresError) and error.sqlstate == "23505" else None

    @contextmanager
    def _usable(self) -> Iterator[None]:
        if self._watch is not None:
            self._watch.generation()
        try:
            yield
        except PostgresError as error:
            raise RegistryUnusable(self.place.shown, str(error), remedy(error, self.place.schema)) from error


class _Link:
    """A connection that is opened when it is needed, for one caller at a time."""

    def __init__(self, place: ServerPlace) -> None:
        self.lock = threading.Lock()
        self._place = place
        self._connection = PostgresConnection(place.settings)

    def ask(self, statement: str, arguments: Sequence[Any], *, may_connect: bool) -> tuple[list[tuple[Any, ...]], int]:
        """Query, on a new connection if the old one turns out to have ended. Raises PostgresError, RegistryUnusable."""
        parameters = [argument(each) for each in arguments]
        was_open = self._connection.is_open
        if may_connect and not was_open:
            self._place.connect(self._connection)
        try:
            return self._connection.ask(translated(statement), parameters)
        except PostgresError:
            if not may_connect or not was_open or self._connection.is_open:
                raise
            self._place.connect(self._connection)
            return self._connection.ask(translated(statement), parameters)

    def ask_many(self, statement: str, sets: Iterable[Sequence[Any]]) -> int:
        """Query with each set of arguments. Raises PostgresError."""
        return self._connection.ask_many(translated(statement), [[argument(each) for each in arguments] for arguments in sets])

    def close(self) -> None:
        """Close the connection."""
        self._connection.cancel()
        with self.lock:
            self._connection.close()


class _Asking:
    """Executes statements on a connection."""

    def __init__(self, link: _Link, *, may_connect: bool) -> None:
        self._link = link
        self._may_connect = may_connect

    def execute(self, statement: str, arguments: Sequence[Any] = (), /) -> _Answer:
        """Execute a statement. Raises PostgresError."""
        return _Answer(*self._link.ask(statement, arguments, may_connect=self._may_connect))

    def executemany(self, statement: str, sets: Iterable[Sequence[Any]], /) -> _Answer:
        """Execute a statement with each set of arguments; only within a transaction. Raises PostgresError."""
        return _Answer([], self._link.ask_many(statement, sets))


class _Answer:
    """The result of a statement."""

    def __init__(self, rows: list[tuple[Any, ...]], rowcount: int) -> None:
        self._rows = rows
        self.rowcount = rowcount

    def fetchone(self) -> Any:
        """Return the first row, None if there is none."""
        return self._rows[0] if self._rows else None

    def fetchall(self) -> list[Any]:
        """Return every row."""
        return self._rows
