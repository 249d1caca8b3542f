"""Finds the database and the user for a command of `postgresql`: those of the section, or `--url` with the password of PGPASSWORD."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from iiot_gateway._native import PostgresConnection, PostgresError
from iiot_gateway.config.secret import Secret
from iiot_gateway.errors import GatewayError
from iiot_gateway.sinks.postgresql.building import shown
from iiot_gateway.sinks.postgresql.section import PostgresqlSection, settings


def reached(section: PostgresqlSection, args: argparse.Namespace) -> PostgresqlSection:
    """Return the section. If the arguments have a URL, it replaces the section's, and the section's password is not used."""
    if not args.url:
        return section
    return replace(section, url=args.url, password=Secret(os.environ.get("PGPASSWORD", "")))


class Database:
    """A connection that opens again when an error has closed it."""

    def __init__(self, section: PostgresqlSection) -> None:
        """Check the settings, without a connection. Raises PostgresError."""
        self.section = section
        self._connection = PostgresConnection(settings(section))
        self._is_open = False
        self.version = 0
        self.extension: str | None = None

    def query(self, sql: str) -> list[list[str | None]]:
        """Return the rows of all statements, as text. Raises PostgresError."""
        if not self._is_open:
            self.version, self.extension = self._connection.connect()
            self._is_open = True
        try:
            return self._connection.query(sql)
        except PostgresError:
            self._is_open = False
            raise

    def texts(self, sql: str) -> list[list[str]]:
        """Return the same rows, with an empty text for NULL. Raises PostgresError."""
        return [["" if value is None else value for value in row] for row in self.query(sql)]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextmanager
def opened(section: PostgresqlSection) -> Iterator[Database]:
    """Yield a connected database. Raises GatewayError for every error of the database."""
    try:
        database = Database(section)
        try:
            database.query("SELECT 1")
            yield database
        finally:
            database.close()
    except PostgresError as error:
        raise GatewayError(f"{shown(section)}: {error}") from error
