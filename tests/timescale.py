"""A database of a test's own on the server that TIMESCALEDB_URL names, with the extension."""

from __future__ import annotations

import os
import subprocess
from urllib.parse import urlsplit, urlunsplit

import pytest

from servers import Postgres, find_program


class Timescale:
    """Made empty; dropped by `close`. The roles that `postgresql init` makes belong to the server and stay."""

    def __init__(self, name: str) -> None:
        self._server = os.environ["TIMESCALEDB_URL"]
        self._name = name
        parts = urlsplit(self._server)
        self.url = urlunsplit(parts._replace(path=f"/{name}"))
        self._run(self._server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self._run(self._server, f"CREATE DATABASE {name}")
        self.rows("SET client_min_messages = error; CREATE EXTENSION IF NOT EXISTS timescaledb")

    def rows(self, sql: str) -> list[list[str]]:
        """Run statements; return the rows, NULL as nothing. Raises RuntimeError."""
        return self._run(self.url, sql)

    def value(self, sql: str) -> str:
        """Return the only value that a query gives."""
        ((value,),) = self.rows(sql)
        return value

    def close(self) -> None:
        """Drop it."""
        self._run(self._server, f"DROP DATABASE IF EXISTS {self._name} WITH (FORCE)")

    @staticmethod
    def _run(url: str, sql: str) -> list[list[str]]:
        psql = find_program("psql")
        assert psql is not None
        command = [psql, "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", url, "-f", "-"]
        done = subprocess.run(command, input=sql, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            raise RuntimeError(f"{sql}: {done.stderr}")
        return [line.split("|") for line in done.stdout.splitlines()]


Database = Postgres | Timescale

needs_timescaledb = pytest.mark.skipif("TIMESCALEDB_URL" not in os.environ, reason="TIMESCALEDB_URL names no server with the extension")
