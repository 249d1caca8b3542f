"""What the registry asks of the database that holds it. Statements are SQL that SQLite and PostgreSQL both know, with `?` for values.

`file.py` is SQLite. `server.py` is PostgreSQL; where its SQL differs, `dialect.py` translates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol


class Answer(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""

    def fetchone(self) -> Any:
        """Return the first row, None if there is none."""

    def fetchall(self) -> list[Any]:
        """Return every row."""


class Statements(Protocol):
    """Takes statements, one after another."""

    def execute(self, statement: str, arguments: Sequence[Any] = (), /) -> Answer:
        """Carry a statement out."""

    def executemany(self, statement: str, sets: Iterable[Sequence[Any]], /) -> Answer:
        """Carry a statement out with each set of arguments."""


class Database(Protocol):
    """Holds the tables. Methods may be called from any thread."""

    @property
    def is_server(self) -> bool:
        """Whether other gateways may use it too, and an answer takes longer than the event loop may wait."""

    def generation(self) -> int:
        """Return a number that is another one after each change of devices or keys that counts. Raises RegistryUnusable."""

    def one(self, statement: str, *arguments: Any) -> tuple[Any, ...] | None:
        """Return the first row of a question. Raises RegistryUnusable."""

    def read(self) -> AbstractContextManager[Statements]:
        """Read. Raises RegistryUnusable."""

    def write(self) -> AbstractContextManager[Statements]:
        """Write in one transaction, which an error takes back; nobody else writes meanwhile. Raises RegistryUnusable."""

    def repeated(self, error: Exception) -> str | None:
        """Return the column, such as `device.name`, whose value another row has, if that is what an error of a statement says."""

    def close(self) -> None:
        """Close it."""
