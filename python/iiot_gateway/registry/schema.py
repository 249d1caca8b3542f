"""The tables of the registry, and the migration of a file of an earlier version; `server_schema.py` does the same in PostgreSQL.

`PRAGMA user_version` holds the version. Each step is one transaction. A file of a later version than this program knows is refused and
not changed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from iiot_gateway.errors import RegistryUnusable

WATCHED = "name, type, location, state, tags, user_name, configuration, firmware_version, hardware_version"
"""The columns of a device that affect its points or its rights, or that are shown: a change of them makes a new revision."""


COUNTED = {
    "device": ("INSERT", "DELETE", f"UPDATE OF {WATCHED}"),
    "access_key": ("INSERT", "DELETE", "UPDATE OF expires_at"),
    "access_key_device": ("INSERT", "DELETE"),
}
"""The changes of tables that make a new revision."""


STEPS = (
    """
    CREATE TABLE device (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        type TEXT NOT NULL,
        location TEXT NOT NULL,
        firmware_version TEXT NOT NULL,
        hardware_version TEXT NOT NULL,
        state TEXT NOT NULL,
        tags TEXT NOT NULL,
        user_name TEXT UNIQUE,
        created_at REAL NOT NULL,
        last_seen REAL,
        presence TEXT NOT NULL,
        configuration TEXT NOT NULL,
        configuration_version INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE last_number (
        number INTEGER NOT NULL
    ) STRICT;
    INSERT INTO last_number VALUES (0);
    CREATE TABLE access_key (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        digest BLOB NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        label TEXT NOT NULL,
        created_at REAL NOT NULL,
        expires_at REAL,
        last_used REAL
    ) STRICT;
    CREATE TABLE access_key_device (
        access_key INTEGER NOT NULL REFERENCES access_key ON DELETE CASCADE,
        device TEXT NOT NULL,
        PRIMARY KEY (device, access_key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX access_key_device_of_key ON access_key_device (access_key);
    CREATE TABLE command (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        device TEXT NOT NULL REFERENCES device ON DELETE CASCADE,
        type TEXT NOT NULL,
        payload TEXT NOT NULL,
        state TEXT NOT NULL,
        created_at REAL NOT NULL,
        expires_at REAL NOT NULL,
        sent_at REAL,
        acknowledged_at REAL
    ) STRICT;
    CREATE INDEX command_of_device ON command (device, id);
    CREATE TABLE revision (
        number INTEGER NOT NULL
    ) STRICT;
    INSERT INTO revision VALUES (1);
    """,
    """
    CREATE TABLE deletion (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        device TEXT NOT NULL,
        start_ns INTEGER NOT NULL,
        stop_ns INTEGER NOT NULL,
        journal TEXT NOT NULL,
        position INTEGER,
        asked_at REAL NOT NULL,
        done_at REAL
    ) STRICT;
    CREATE INDEX deletion_of_device ON deletion (device, id);
    CREATE INDEX deletion_waiting ON deletion (id) WHERE done_at IS NULL;
    """,
    """
    ALTER TABLE access_key ADD COLUMN password_hash TEXT;
    CREATE TABLE broker_account (
        device TEXT PRIMARY KEY,
        broker TEXT NOT NULL,
        access_key INTEGER,
        state TEXT NOT NULL,
        detail TEXT NOT NULL,
        changed_at REAL NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE registry_id (
        id TEXT NOT NULL
    ) STRICT;
    INSERT INTO registry_id VALUES (lower(hex(randomblob(4))));
    """,
    """
    CREATE TABLE removed_device (
        id TEXT PRIMARY KEY,
        removed_at REAL NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
)
VERSION = len(STEPS)
TRIGGERS = "".join(
    f"CREATE TRIGGER {table}_{event.split()[0].lower()} AFTER {event} ON {table} BEGIN UPDATE revision SET number=number+1; END;"
    for table, events in COUNTED.items()
    for event in events
)
"""The triggers that count each change which another process must see; they are made with the first step."""


def migrate(db: sqlite3.Connection, path: str) -> None:
    """Migrate an earlier file, or make the tables. Raises RegistryUnusable for a file of a later version."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise too_late(path, version)
    for number, step in enumerate(STEPS[version:], version + 1):
        # Another process may do the same at this moment; the second one finds that the step is done.
        db.execute("BEGIN IMMEDIATE")
        try:
            (found,) = db.execute("PRAGMA user_version").fetchone()
            if found < number:
                for statement in statements(step + TRIGGERS if number == 1 else step):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version={number}")
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise


def too_late(place: str, version: int) -> RegistryUnusable:
    """Return the error for a registry of a later version than this program knows."""
    return RegistryUnusable(
        place, f"it is of version {version}, and this program knows version {VERSION}", "use the program that wrote it, or a later one"
    )


def statements(step: str) -> Iterator[str]:
    """Yield each statement of a step. A trigger contains semicolons, so the text is not simply split at them."""
    pending = ""
    for part in step.split(";"):
        pending += part + ";"
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
