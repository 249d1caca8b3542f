"""The interface of the registry to its database. Statements are SQL that both SQLite and PostgreSQL understand, with `?` for values.

`file.py` is SQLite. `server.py` is PostgreSQL; where its SQL differs, `dialect.py` translates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol


class Answer(Protocol):
    """The result of a statement."""

    @property
    def rowcount(self) -> int:
        """How many rows the statement changed."""

    def fetchone(self) -> Any:
        """Return the first row, None if there is none."""

    def fetchall(self) -> list[Any]:
        """Return every row."""


class Statements(Protocol):
    """Executes statements, one after another."""

    def execute(self, statement: str, arguments: Sequence[Any] = (), /) -> Answer:
        """Execute a statement."""

    def executemany(self, statement: str, sets: Iterable[Sequence[Any]], /) -> Answer:
        """Execute a statement with each set of arguments."""


class Database(Protocol):
    """Holds the tables. Methods may be called from any thread."""

    @property
    def is_server(self) -> bool:
        """Whether other gateways may use the database too, and an answer takes longer than the event loop may wait."""

    def generation(self) -> int:
        """Return a number that changes with each relevant change of devices or keys. Raises RegistryUnusable."""

    def one(self, statement: str, *arguments: Any) -> tuple[Any, ...] | None:
        """Return the first row of a query. Raises RegistryUnusable."""

    def read(self) -> AbstractContextManager[Statements]:
        """Read. Raises RegistryUnusable."""

    def write(self) -> AbstractContextManager[Statements]:
        """Write in one transaction, which an error rolls back; nobody else writes meanwhile. Raises RegistryUnusable."""

    def repeated(self, error: Exception) -> str | None:
        """Return the column, such as `device.name`, whose value another row already has, if this is the cause of a statement's error."""

    def close(self) -> None:
        """Close the database."""
