"""The registry's file: one connection reads, another writes, so that a write never delays a read.

Blocking: reads take microseconds, writes wait for the disk. Other processes may write at the same time (`iiot-gateway devices`), and
their changes are seen at once.
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from iiot_gateway.errors import RegistryUnusable
from iiot_gateway.registry.schema import migrate

BUSY_TIMEOUT_S = 5.0
MAPPED_BYTES = 256 * 1024 * 1024


class RegistryFile:
    """An SQLite file. Methods may be called from any thread."""

    is_server = False

    def __init__(self, path: str) -> None:
        """Open the file; make or migrate it if necessary. Raises RegistryUnusable."""
        self.path = path
        with self._usable():
            self._writer = _connect(path)
            self._reader = _connect(path)
        self._version = -1
        self._generation = -1
        self._writing = threading.Lock()
        self._reading = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        with self._writing, self._reading:
            self._writer.close()
            self._reader.close()

    def generation(self) -> int:
        """Return a number that changes with each relevant change of devices or keys, in any process."""
        try:
            with self._reading:
                (version,) = self._reader.execute("PRAGMA data_version").fetchone()
                if version != self._version:
                    (self._generation,) = self._reader.execute("SELECT number FROM revision").fetchone()
                    self._version = version
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        return self._generation

    def one(self, statement: str, *arguments: Any) -> tuple[Any, ...] | None:
        """Return the first row of a query; for queries that are made all the time. Raises RegistryUnusable."""
        try:
            with self._reading:
                row: tuple[Any, ...] | None = self._reader.execute(statement, arguments).fetchone()
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        return row

    def repeated(self, error: Exception) -> str | None:
        """Return the column, such as `device.name`, whose value another row already has, if this is the cause of a statement's error."""
        found = re.match(r"UNIQUE constraint failed: (\w+\.\w+)", str(error)) if isinstance(error, sqlite3.IntegrityError) else None
        return None if found is None else found[1]

    def copy_to(self, path: str) -> None:
        """Copy the file into a new one, while no thread of this process writes. Raises RegistryUnusable, and OSError for the new file."""
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with self._writing, self._usable(), closing(sqlite3.connect(path)) as copy:
            # In one step: a write by another process between two steps would restart the copy.
            self._writer.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Read. Raises RegistryUnusable."""
        with self._reading, self._usable():
            yield self._reader

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Write in one transaction, which an error rolls back. Raises RegistryUnusable."""
        with self._writing, self._usable():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> RegistryUnusable:
        return RegistryUnusable(self.path, str(error), _remedy(str(error)))


def _connect(path: str) -> sqlite3.Connection:
    if not os.path.exists(path):
        # Nobody else needs to read the file, although it holds only digests of keys.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA foreign_keys=ON")
        # Keys are scattered over the file. With the file mapped into memory, looking up a key needs no system call.
        db.execute(f"PRAGMA mmap_size={MAPPED_BYTES}")
        migrate(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _remedy(error: str) -> str:
    """Return what to do about an error of the file."""
    if "locked" in error or "busy" in error:
        return "another program uses it; end that program, or try again"
    if "full" in error:
        return "make room on the disk"
    if "malformed" in error or "not a database" in error:
        return "restore it from a backup, or move it away and register the devices again"
    return "check the file, its folder's rights and the room on its disk"
