"""Keys as they are stored. Blocking; see `database.py`. Every method raises RegistryUnusable."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from iiot_gateway.registry.database import Database, Statements
from iiot_gateway.registry.device import KeyEntry
from iiot_gateway.registry.keys import KeyKind, digest
from iiot_gateway.registry.stored_key import StoredKey, device_key

USED_AGAIN_S = 3600.0
SELECT = (
    "SELECT id, kind, label, created_at, expires_at, last_used, "
    "(SELECT group_concat(device, ' ') FROM access_key_device WHERE access_key=access_key.id) FROM access_key"
)
BY_DIGEST = f"{SELECT} WHERE digest=?"
OF_DEVICE = "kind='device' AND id IN (SELECT access_key FROM access_key_device WHERE device=?1)"


class NoDevice(ValueError):
    """The device does not exist, or no longer exists."""


class AccessKeys:
    """The keys of the registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, key: str) -> KeyEntry | None:
        """Return the data of a key, even of an expired one."""
        row = self._database.one(BY_DIGEST, digest(key))
        return None if row is None else _entry(row)

    def all(self) -> list[KeyEntry]:
        """Return every key."""
        with self._database.read() as db:
            return [_entry(row) for row in db.execute(f"{SELECT} ORDER BY id").fetchall()]

    def of(self, device_id: str) -> list[KeyEntry]:
        """Return the keys of one device, the oldest first."""
        with self._database.read() as db:
            return [_entry(row) for row in db.execute(f"{SELECT} WHERE {OF_DEVICE} ORDER BY id", (device_id,)).fetchall()]

    def digests(self, first: str, last: str) -> list[tuple[str, bytes, float | None]]:
        """Return device, digest and expiry of the keys of the devices from one id to another. A broker checks logins with them."""
        keys = "SELECT device, digest, expires_at FROM access_key_device JOIN access_key ON access_key=id"
        with self._database.read() as db:
            rows = db.execute(f"{keys} WHERE kind='device' AND device >= ? AND device <= ?", (first, last)).fetchall()
        return [(device, bytes(stored), expires_at) for device, stored, expires_at in rows]

    def add(self, key: str, kind: KeyKind, devices: Iterable[str] = (), *, label: str = "", expires_at: float | None = None) -> KeyEntry:
        """Store a key."""
        with self._database.write() as db:
            number = insert_key(db, StoredKey(digest(key)), kind, devices, label=label, expires_at=expires_at)
            return _entry(db.execute(f"{SELECT} WHERE id=?", (number,)).fetchone())

    def rotate(self, device_id: str, key: str, *, overlap_s: float, in_use: int | None = None) -> float | None:
        """Give a device a new key. Of its old keys, `in_use` (or otherwise the newest) stays valid for `overlap_s`; the others end at once.

        Returns until when the old one is valid (Unix seconds), None if none is. Raises NoDevice.
        """
        now = time.time()
        valid = f"SELECT id, expires_at FROM access_key WHERE {OF_DEVICE} AND (expires_at IS NULL OR expires_at > ?2) ORDER BY id DESC"
        with self._database.write() as db:
            if db.execute("SELECT 1 FROM device WHERE id=?", (device_id,)).fetchone() is None:
                raise NoDevice(f"there is no device {device_id}")
            old = db.execute(valid, (device_id, now)).fetchall()
            kept, until = None, None
            if old and overlap_s > 0:
                # A device whose last answer was lost asks again with the key that it has.
                kept, expires_at = next((entry for entry in old if entry[0] == in_use), old[0])
                until = min(now + overlap_s, expires_at or now + overlap_s)
                db.execute("UPDATE access_key SET expires_at=? WHERE id=?", (until, kept))
            db.execute(f"DELETE FROM access_key WHERE {OF_DEVICE} AND (id <> ?2 OR ?2 IS NULL)", (device_id, kept))
            insert_key(db, device_key(key), KeyKind.DEVICE, (device_id,))
        return until

    def revoke(self, key_id: int) -> bool:
        """End a key. False if there is none."""
        with self._database.write() as db:
            return db.execute("DELETE FROM access_key WHERE id=?", (key_id,)).rowcount > 0

    def used(self, last_used: Mapping[int, float]) -> None:
        """Store when keys were used last (Unix seconds), rounded to the hour, because a write per use would wear the disk."""
        with self._database.write() as db:
            db.executemany(
                "UPDATE access_key SET last_used=?2 WHERE id=?1 AND (last_used IS NULL OR last_used + ?3 < ?2)",
                [(number, at, USED_AGAIN_S) for number, at in last_used.items()],
            )


def insert_key(
    db: Statements, stored: StoredKey, kind: KeyKind, devices: Iterable[str], *, label: str = "", expires_at: float | None = None
) -> int:
    """Insert a key in a transaction of the caller, and return its number."""
    insert = "INSERT INTO access_key (digest, password_hash, kind, label, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?) RETURNING id"
    (number,) = db.execute(insert, (stored.digest, stored.password_hash, kind, label, time.time(), expires_at)).fetchone()
    db.executemany("INSERT INTO access_key_device (access_key, device) VALUES (?, ?)", [(number, device) for device in devices])
    return int(number)


def _entry(row: tuple[Any, ...]) -> KeyEntry:
    number, kind, label, created_at, expires_at, last_used, devices = row
    return KeyEntry(
        id=number,
        kind=KeyKind(kind),
        devices=tuple(sorted(devices.split())) if devices else (),
        label=label,
        created_at=created_at,
        expires_at=expires_at,
        last_used=last_used,
    )
