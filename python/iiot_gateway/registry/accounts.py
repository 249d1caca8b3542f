"""The accounts that a broker should have for the devices, and the accounts that it had when it was asked last.

Blocking; see `database.py`. Every method raises RegistryUnusable.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from iiot_gateway.registry.database import Database
from iiot_gateway.registry.device import DeviceState

STORE = (
    "INSERT INTO broker_account (device, broker, access_key, state, detail, changed_at) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (device) DO UPDATE SET broker=excluded.broker, access_key=excluded.access_key, state=excluded.state, "
    "detail=excluded.detail, changed_at=excluded.changed_at"
)


class AccountState(StrEnum):
    """The state of a device's account."""

    WAITING = "waiting"
    """The broker does not have the change yet."""
    READY = "ready"
    """The device can log in with its newest key."""
    DISABLED = "disabled"
    """The device is disabled, and its account is disabled or does not exist."""
    ROTATE = "rotate"
    """The broker does not have the newest key, and cannot get it any more, because only digests are stored."""
    TAKEN = "taken"
    """An account with this user name belongs to somebody else."""
    REFUSED = "refused"
    """The broker refused the change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The known state of a device's account. Times are Unix seconds."""

    device: str
    broker: str = ""
    """The URL of the broker that has the account."""
    key_id: int | None = None
    """The number of the key that the broker was given last."""
    state: AccountState = AccountState.WAITING
    detail: str = ""
    changed_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedAccount:
    """The account that a broker should have for a device."""

    device: str
    user_name: str
    is_enabled: bool
    key_id: int | None = None
    """The device's newest key."""
    key_digest: bytes = b""
    valid: Mapping[int, float | None] = field(default_factory=dict)
    """The device's keys, each with its expiry (Unix seconds)."""


class Accounts:
    """The accounts of devices at brokers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def registry_id(self) -> str:
        """Return the mark that distinguishes the accounts of this registry from those of others: 8 hexadecimal digits."""
        with self._database.read() as db:
            (found,) = db.execute("SELECT id FROM registry_id").fetchone()
        return str(found)

    def wanted(self) -> dict[str, WantedAccount]:
        """Return the accounts that a broker should have, by device id."""
        with self._database.read() as db:
            devices = db.execute("SELECT id, coalesce(user_name, id), state FROM device").fetchall()
            keys = db.execute(
                "SELECT device, id, digest, expires_at FROM access_key JOIN access_key_device ON access_key=id "
                "WHERE kind='device' ORDER BY id"
            ).fetchall()
        of: dict[str, list[tuple[int, bytes, float | None]]] = {}
        for device, number, digest, expires_at in keys:
            of.setdefault(device, []).append((number, bytes(digest), expires_at))
        found = {}
        for device, user_name, state in devices:
            own = of.get(device, [])
            newest, digest, _ = own[-1] if own else (None, b"", None)
            found[device] = WantedAccount(
                device=device,
                user_name=user_name,
                is_enabled=state != DeviceState.INACTIVE,
                key_id=newest,
                key_digest=digest,
                valid={number: expires_at for number, _, expires_at in own},
            )
        return found

    def all(self) -> dict[str, Account]:
        """Return the known states of accounts, by device id."""
        with self._database.read() as db:
            rows = db.execute("SELECT device, broker, access_key, state, detail, changed_at FROM broker_account").fetchall()
        return {
            device: Account(device=device, broker=broker, key_id=key_id, state=AccountState(state), detail=detail, changed_at=changed_at)
            for device, broker, key_id, state, detail, changed_at in rows
        }

    def store(self, changed: Iterable[Account], gone: Iterable[str] = ()) -> None:
        """Store new states with the present time; forget devices that no longer exist."""
        now = time.time()
        with self._database.write() as db:
            db.executemany("DELETE FROM broker_account WHERE device=?", [(device,) for device in gone])
            db.executemany(
                STORE,
                [(each.device, each.broker, each.key_id, each.state, each.detail, now) for each in changed],
            )

    def password_hashes(self) -> dict[str, str]:
        """Return the hash of each device's newest key, by device id. Keys from before such hashes were stored have none."""
        with self._database.read() as db:
            rows = db.execute(
                "SELECT device, password_hash FROM access_key JOIN access_key_device ON access_key=id "
                "WHERE kind='device' AND (expires_at IS NULL OR expires_at > ?) ORDER BY id",
                (time.time(),),
            ).fetchall()
        newest = dict(rows)
        return {device: stored for device, stored in newest.items() if stored}
