"""Decides what the sink, or a person, must do after an error of PostgreSQL. Pure: no connection, no clock.

wait, moved      try again, after longer and longer pauses
report           try again in the same way, and say what a person must do
unknown_run      stop this sink, because another journal wrote these rows
settings         stop this sink, because another attempt would fail in the same way
cancelled        the sink is being stopped
"""

from __future__ import annotations

from typing import Protocol

from iiot_gateway.errors import command

FINAL = ("unknown_run", "settings")
"""Errors after which the sink does nothing until the next start."""

REMEDY = {
    "28": "check user and password (PGPASSWORD, password_file, .pgpass) and the server's pg_hba.conf",
    "3D": "create the database, or correct it in url",
    "3F": "create the schema, or correct schema",
    "42501": "let the database's owner GRANT what the message names to this user",
    "42P01": 'create the table, or set tables = "manage"',
}
"""What to do, by the SQLSTATE or the class of it."""
OTHERWISE = "read the message"
ROWS_WAIT = "; the rows wait in the journal"


class Failure(Protocol):
    """The error that the extension raises."""

    kind: str
    sqlstate: str | None


def remedy(error: Failure, name: str) -> str:
    """Return what a person must do about an error of the sink with this name."""
    if error.kind == "unknown_run":
        return (
            "if this journal is a copy of the one that wrote these rows, run one of the two gateways only; "
            f"`{command(f'postgresql adopt --section {name}')}` lets this one go on with the database, then start it again"
        )
    state = error.sqlstate or ""
    return REMEDY.get(state, REMEDY.get(state[:2], OTHERWISE)) + ROWS_WAIT
