"""Devices as they are stored. Blocking; see `database.py`. Every method raises RegistryUnusable."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from iiot_gateway.registry.access import insert_key
from iiot_gateway.registry.database import Database, Statements
from iiot_gateway.registry.device import Device, DeviceState
from iiot_gateway.registry.keys import KeyKind
from iiot_gateway.registry.stored_key import StoredKey

COLUMNS = (
    "id",
    "name",
    "type",
    "location",
    "firmware_version",
    "hardware_version",
    "state",
    "tags",
    "user_name",
    "created_at",
    "last_seen",
    "presence",
    "configuration",
    "configuration_version",
)
SELECT = f"SELECT {', '.join(COLUMNS)} FROM device"
NUMBER = re.compile(r"[1-9][0-9]{0,14}")
"""An id that a registry may have counted up to; it has counted to none with more digits."""
PAGE = 500
BY_ID = f"{SELECT} WHERE id=?"
INSERT = f"INSERT INTO device ({', '.join(COLUMNS)}) VALUES ({', '.join('?' for _ in COLUMNS)})"
UPDATE = f"UPDATE device SET {', '.join(f'{name}=?' for name in COLUMNS)} WHERE id=?"


class Taken(ValueError):
    """An id, a name or a user name belongs to another device; the text says which."""


class Removed(Taken):
    """An id belonged to a removed device, whose data may still exist somewhere."""


class TooMany(ValueError):
    """The registry already has the most devices that it may have."""


class Devices:
    """The devices of the registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, device_id: str) -> Device | None:
        """Return a device."""
        row = self._database.one(BY_ID, device_id)
        return None if row is None else _device(row)

    def all(self, *, after: str = "", limit: int = 1_000_000) -> list[Device]:
        """Return devices in the order of their ids, beginning after a given id."""
        with self._database.read() as db:
            rows = db.execute(f"{SELECT} WHERE id > ? ORDER BY id LIMIT ?", (after, limit)).fetchall()
        return [_device(row) for row in rows]

    def pages(self) -> Iterator[list[Device]]:
        """Yield all devices in the order of their ids, some at a time, because all of them at once would need much memory."""
        after = ""
        while page := self.all(after=after, limit=PAGE):
            yield page
            after = page[-1].id

    def each(self) -> Iterator[Device]:
        """Yield all devices. Only some of them are in memory at the same time."""
        for page in self.pages():
            yield from page

    def add(self, device: Device, key: StoredKey | None = None, *, again: bool = False, most: int = 0) -> Device:
        """Add a device, with its first key if there is one; without an id it gets the next number. Raises Taken.

        With `most`, raises TooMany if there are so many devices already.

        Data of a removed device is stored under its id in many places. So no other device gets that id; `again` brings the device back.
        """
        (added,) = self.add_all([(device, key)], again=again, most=most)
        return added

    def add_all(self, wanted: Iterable[tuple[Device, StoredKey | None]], *, again: bool = False, most: int = 0) -> list[Device]:
        """Add several devices, each with its first key; adds all of them or none. Raises Taken, TooMany."""
        added = []
        with self._database.write() as db:
            # In the same transaction: if two devices register at the same time, only one of them finds the last place free.
            if most and (number := db.execute("SELECT count(*) FROM device").fetchone()[0]) >= most:
                raise TooMany(f"the registry has {number} devices; nobody registers once it has {most}")
            for device, key in wanted:
                one = replace(device, id=device.id or _next_number(db), created_at=device.created_at or time.time())
                _own_names(db, one)
                if db.execute("DELETE FROM removed_device WHERE id=?", (one.id,)).rowcount and not again:
                    raise Removed(f"the id {one.id} belonged to a device that was removed, and what that one sent is still kept under it")
                with self._told_apart(one):
                    db.execute(INSERT, _row(one))
                    if key is not None:
                        insert_key(db, key, KeyKind.DEVICE, (one.id,))
                added.append(one)
        return added

    def change(self, device_id: str, changes: Mapping[str, Any]) -> Device | None:
        """Change fields of a device; a new configuration gets the next version. Returns None if there is no such device. Raises Taken."""
        with self._database.write() as db:
            row = db.execute(f"{SELECT} WHERE id=?", (device_id,)).fetchone()
            if row is None:
                return None
            before = _device(row)
            changed = replace(before, **changes)
            if changed.configuration != before.configuration:
                changed = replace(changed, configuration_version=before.configuration_version + 1)
            _own_names(db, changed)
            with self._told_apart(changed):
                db.execute(UPDATE, (*_row(changed), device_id))
        return changed

    def remove(self, device_id: str) -> bool:
        """Remove a device with its keys and commands; its id is remembered. Returns False if there is no such device."""
        own = "SELECT access_key FROM access_key_device WHERE device=?"
        with self._database.write() as db:
            db.execute(f"DELETE FROM access_key WHERE kind='device' AND id IN ({own})", (device_id,))
            db.execute("DELETE FROM access_key_device WHERE device=?", (device_id,))
            if not db.execute("DELETE FROM device WHERE id=?", (device_id,)).rowcount:
                return False
            db.execute("INSERT INTO removed_device (id, removed_at) VALUES (?, ?)", (device_id, time.time()))
        return True

    def removed(self) -> list[str]:
        """Return the ids of removed devices.

        The last number is one of them if no device has it: its device may have been removed by a version that did not store removed ids.
        """
        with self._database.read() as db:
            ids = {device_id for (device_id,) in db.execute("SELECT id FROM removed_device").fetchall()}
            (number,) = db.execute("SELECT number FROM last_number").fetchone()
            if number and db.execute("SELECT 1 FROM device WHERE id=?", (str(number),)).fetchone() is None:
                ids.add(str(number))
        return sorted(ids)

    def remember_removed(self, ids: Iterable[str]) -> list[str]:
        """Store ids of devices that were removed in another registry. Returns the ids that devices have here: they keep them."""
        kept = []
        with self._database.write() as db:
            for device_id in ids:
                if db.execute("SELECT 1 FROM device WHERE id=?", (device_id,)).fetchone() is not None:
                    kept.append(device_id)
                    continue
                db.execute("INSERT INTO removed_device (id, removed_at) VALUES (?, ?) ON CONFLICT DO NOTHING", (device_id, time.time()))
        return kept

    def number_after(self, ids: Iterable[str]) -> None:
        """Give new devices only numbers above those among these ids: a lower number may have belonged to a device that is forgotten."""
        largest = max((int(device_id) for device_id in ids if NUMBER.fullmatch(device_id)), default=0)
        with self._database.write() as db:
            db.execute("UPDATE last_number SET number=?1 WHERE number < ?1", (largest,))

    def configured(self) -> list[Device]:
        """Return the devices that have a configuration."""
        with self._database.read() as db:
            rows = db.execute(f"{SELECT} WHERE configuration_version > 0 ORDER BY id").fetchall()
        return [_device(row) for row in rows]

    def set_presence(self, device_id: str, presence: str) -> None:
        """Store the presence of a device that was published."""
        with self._database.write() as db:
            db.execute("UPDATE device SET presence=? WHERE id=?", (presence, device_id))

    def heard(self, last_seen: Mapping[str, float]) -> None:
        """Store the times when devices were heard last (Unix seconds)."""
        with self._database.write() as db:
            db.executemany("UPDATE device SET last_seen=?2 WHERE id=?1 AND (last_seen IS NULL OR last_seen < ?2)", list(last_seen.items()))

    @contextmanager
    def _told_apart(self, device: Device) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            what = {
                "device.id": f"id {device.id}",
                "device.name": f"name {device.name!r}",
                "device.user_name": f"user name {device.user_name}",
                "access_key.digest": "key",
            }
            known = what.get(self._database.repeated(error) or "")
            if known is None:
                raise
            raise Taken(f"another device has the {known}") from error


def _own_names(db: Statements, device: Device) -> None:
    """Refuse an id that is the user name of another device, and the reverse: brokers accept both as a user name. Raises Taken."""
    if db.execute("SELECT 1 FROM device WHERE user_name=?1 AND id<>?1", (device.id,)).fetchone() is not None:
        raise Taken(f"another device has the user name {device.id}")
    own = device.user_name
    if own and own != device.id and db.execute("SELECT 1 FROM device WHERE id=?", (own,)).fetchone() is not None:
        raise Taken(f"another device has the id {own}")


def _next_number(db: Statements) -> str:
    """Return a number that no device has or had: data of an earlier device would be taken for data of the new one."""
    while True:
        (number,) = db.execute("UPDATE last_number SET number=number+1 RETURNING number").fetchone()
        known = "SELECT 1 FROM device WHERE id=?1 OR user_name=?1 UNION ALL SELECT 1 FROM removed_device WHERE id=?1"
        if db.execute(known, (str(number),)).fetchone() is None:
            return str(number)


def _device(row: tuple[Any, ...]) -> Device:
    values = list(row)
    for place, read in READ:
        values[place] = read(values[place])
    return Device(**dict(zip(COLUMNS, values, strict=True)))


def _table(text: str) -> dict[str, Any]:
    table: dict[str, Any] = {} if text == "{}" else json.loads(text)
    return table


READ: tuple[tuple[int, Callable[[Any], Any]], ...] = (
    (COLUMNS.index("state"), DeviceState),
    (COLUMNS.index("tags"), _table),
    (COLUMNS.index("configuration"), _table),
    (COLUMNS.index("user_name"), lambda stored: stored or ""),
)


def _row(device: Device) -> tuple[Any, ...]:
    stored = {
        "tags": json.dumps(dict(device.tags), sort_keys=True, ensure_ascii=False),
        "configuration": json.dumps(device.configuration, ensure_ascii=False),
        "user_name": device.user_name or None,
        "state": str(device.state),
    }
    return tuple(stored.get(name, getattr(device, name)) for name in COLUMNS)
