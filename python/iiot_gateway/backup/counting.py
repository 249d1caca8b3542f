"""Counts the rows in a copy of a database, so that a restored database can be compared."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from iiot_gateway.backup.manifest import BackupUnusable


def counted(path: Path) -> tuple[dict[str, int], int]:
    """Return the rows per table, and the version of the format. Nothing is written, not even beside the file. Raises BackupUnusable."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?immutable=1", uri=True)) as db:
            tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
            rows = {name: db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}  # noqa: S608 - names of the file's own
            (version,) = db.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        raise BackupUnusable(f"{path} cannot be read: {error}") from error
    return rows, version
