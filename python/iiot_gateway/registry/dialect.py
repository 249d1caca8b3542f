"""The differences between PostgreSQL and SQLite: placeholders, types of columns, triggers and constraints. Pure."""

from __future__ import annotations

import re
from functools import cache
from itertools import count
from typing import Any

from iiot_gateway.registry.schema import COUNTED

WORDS = (("group_concat(", "string_agg("),)
TYPES = (
    (" STRICT, WITHOUT ROWID", ""),
    (" STRICT", ""),
    ("INTEGER PRIMARY KEY AUTOINCREMENT", "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
    ("INTEGER", "bigint"),
    ("REAL", "double precision"),
    ("BLOB", "bytea"),
    # SQLite orders by bytes; with this collation, pages of devices have the same order in both databases.
    ("TEXT", 'text COLLATE "C"'),
    ("lower(hex(randomblob(4)))", "left(gen_random_uuid()::text, 8)"),
)
REPEATED = {
    "device_pkey": "device.id",
    "device_name_key": "device.name",
    "device_user_name_key": "device.user_name",
    "access_key_digest_key": "access_key.digest",
}
"""The columns, by the names that PostgreSQL gives to their constraints."""
COUNT = """
CREATE FUNCTION count_change() RETURNS trigger LANGUAGE plpgsql AS $function$ BEGIN
    EXECUTE format('UPDATE %I.revision SET number = number + 1 WHERE xmin <> pg_current_xact_id()::xid', TG_TABLE_SCHEMA);
    PERFORM pg_notify(TG_TABLE_SCHEMA, '');
    RETURN NULL;
END $function$;
"""
"""Counts each transaction with a change. Listeners on the channel with the schema's name are notified when the transaction is committed.

A transaction is counted only once, because each count leaves an old version of the row until the transaction ends. An import of thousands
of devices would have to search through all these versions.
"""


@cache
def translated(statement: str) -> str:
    """Return a statement in the form of PostgreSQL: `?` and `?2` become `$1` and `$2`."""
    for ours, theirs in WORDS:
        statement = statement.replace(ours, theirs)
    numbers = count(1)
    return re.sub(r"\?(\d*)", lambda found: f"${found[1] or next(numbers)}", statement)


def argument(value: Any) -> Any:
    """Return a value as PostgreSQL can hold it: no text there has U+0000, and no text with U+FFFD instead is ever looked for."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def tables(step: str) -> str:
    """Return a step of the schema, without triggers."""
    for ours, theirs in TYPES:
        step = step.replace(ours, theirs)
    return step


def triggers() -> str:
    """Return the statements that count each change which others must see."""
    return COUNT + "".join(
        f"CREATE TRIGGER {table}_{event.split()[0].lower()} AFTER {event} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION count_change();"
        for table, events in COUNTED.items()
        for event in events
    )
