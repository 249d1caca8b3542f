"""Commands for devices as they are stored: queued, sent, acknowledged or expired.

Blocking; see `database.py`. Every method raises RegistryUnusable.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from iiot_gateway.registry.database import Database

SELECT = "SELECT id, device, type, payload, state, created_at, expires_at, sent_at, acknowledged_at FROM command"
MOST_KEPT = 100
"""The most finished commands that are kept per device."""
MOST_WAITING = 100
"""The most commands of one device that may wait at the same time."""


class CommandState(StrEnum):
    """The state of a command."""

    QUEUED = "queued"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command for a device. Times are Unix seconds."""

    id: int
    device: str
    type: str
    payload: Any
    state: CommandState
    created_at: float
    expires_at: float
    sent_at: float | None = None
    acknowledged_at: float | None = None


class TooManyWaiting(ValueError):
    """A device already has the most commands that may wait."""


class Commands:
    """The commands of the registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, device_id: str, kind: str, payload: Any, *, lifetime_s: float) -> Command:
        """Queue a command. Raises TooManyWaiting."""
        now = time.time()
        with self._database.write() as db:
            waiting = "SELECT count(*) FROM command WHERE device=? AND state IN ('queued', 'sent') AND expires_at > ?"
            if db.execute(waiting, (device_id, now)).fetchone()[0] >= MOST_WAITING:
                raise TooManyWaiting(f"{MOST_WAITING} commands of this device are waiting")
            row = db.execute(
                "INSERT INTO command (device, type, payload, state, created_at, expires_at) VALUES (?, ?, ?, 'queued', ?, ?) RETURNING *",
                (device_id, kind, json.dumps(payload, ensure_ascii=False), now, now + lifetime_s),
            ).fetchone()
            db.execute(
                "DELETE FROM command WHERE device=?1 AND state IN ('acknowledged', 'expired') AND id NOT IN "
                "(SELECT id FROM command WHERE device=?1 ORDER BY id DESC LIMIT ?2)",
                (device_id, MOST_KEPT),
            )
        return _command(row)

    def of(self, device_id: str, *, limit: int = MOST_KEPT) -> list[Command]:
        """Return the commands of a device, the newest first."""
        with self._database.read() as db:
            rows = db.execute(f"{SELECT} WHERE device=? ORDER BY id DESC LIMIT ?", (device_id, limit)).fetchall()
        return [_command(row) for row in rows]

    def waiting(self) -> list[Command]:
        """Return the commands that are to be sent now, the oldest first."""
        with self._database.read() as db:
            rows = db.execute(f"{SELECT} WHERE state='queued' AND expires_at > ? ORDER BY id", (time.time(),)).fetchall()
        return [_command(row) for row in rows]

    def waiting_of(self, device_id: str) -> list[Command]:
        """Return the commands that a device has not acknowledged, the oldest first."""
        query = f"{SELECT} WHERE device=? AND state IN ('queued', 'sent') AND expires_at > ? ORDER BY id"
        with self._database.read() as db:
            return [_command(row) for row in db.execute(query, (device_id, time.time())).fetchall()]

    def sent(self, command_id: int) -> bool:
        """Note that the broker has taken a command. False if the command is no longer queued."""
        return self._move("UPDATE command SET state='sent', sent_at=? WHERE id=? AND state='queued'", time.time(), command_id)

    def send_again(self, device_id: str) -> int:
        """Queue again the commands that were sent to a device and not acknowledged: it may have been away. Returns their number."""
        again = "UPDATE command SET state='queued', sent_at=NULL WHERE device=? AND state='sent' AND expires_at > ?"
        with self._database.write() as db:
            return db.execute(again, (device_id, time.time())).rowcount

    def acknowledged(self, device_id: str, command_id: int) -> bool:
        """Note that the device has carried a command out. False if the device has no such command, or it had expired."""
        acknowledge = "UPDATE command SET state='acknowledged', acknowledged_at=? WHERE id=? AND device=? AND state IN ('queued', 'sent')"
        return self._move(acknowledge, time.time(), command_id, device_id)

    def expire(self) -> int:
        """Mark the commands that have expired, and return their number."""
        expire = "UPDATE command SET state='expired' WHERE state IN ('queued', 'sent') AND expires_at <= ?"
        with self._database.write() as db:
            return db.execute(expire, (time.time(),)).rowcount

    def _move(self, statement: str, *arguments: Any) -> bool:
        with self._database.write() as db:
            return db.execute(statement, arguments).rowcount > 0


def _command(row: tuple[Any, ...]) -> Command:
    number, device, kind, payload, state, created_at, expires_at, sent_at, acknowledged_at = row
    return Command(
        id=number,
        device=device,
        type=kind,
        payload=json.loads(payload),
        state=CommandState(state),
        created_at=created_at,
        expires_at=expires_at,
        sent_at=sent_at,
        acknowledged_at=acknowledged_at,
    )


def described(command: Command) -> Mapping[str, Any]:
    """Return a command as the API shows it."""
    return {
        "id": command.id,
        "type": command.type,
        "payload": command.payload,
        "state": str(command.state),
        "created_at": command.created_at,
        "expires_at": command.expires_at,
        "sent_at": command.sent_at,
        "acknowledged_at": command.acknowledged_at,
    }
