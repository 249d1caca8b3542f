"""Deletions of data that devices sent: each is stored when it is requested, and kept until it is done.

Blocking; see `database.py`. Every method raises RegistryUnusable.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from iiot_gateway.registry.database import Database

SELECT = "SELECT id, device, start_ns, stop_ns, journal, position, asked_at, done_at FROM deletion"
MOST_KEPT = 100
"""The most finished deletions that are kept per device."""
MOST_WAITING = 100
"""The most deletions of one device that may wait at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """A span of time that is to be deleted. It is in Unix nanoseconds, and ends just before its stop; other times are Unix seconds."""

    id: int
    device: str
    start_ns: int
    stop_ns: int
    journal: str
    """The id of the journal that the position belongs to."""
    position: int | None
    """The end of the journal when the deletion began: every sink must pass it. None before the deletion has begun."""
    asked_at: float
    done_at: float | None = None


class TooManyWaiting(ValueError):
    """A device already has the most deletions that may wait."""


class Deletions:
    """The deletions of the registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, device_id: str, start_ns: int, stop_ns: int, *, journal: str) -> Deletion:
        """Store a deletion. Raises TooManyWaiting."""
        with self._database.write() as db:
            waiting = "SELECT count(*) FROM deletion WHERE device=? AND done_at IS NULL"
            if db.execute(waiting, (device_id,)).fetchone()[0] >= MOST_WAITING:
                raise TooManyWaiting(f"{MOST_WAITING} deletions of this device are waiting")
            row = db.execute(
                "INSERT INTO deletion (device, start_ns, stop_ns, journal, asked_at) VALUES (?, ?, ?, ?, ?) RETURNING *",
                (device_id, start_ns, stop_ns, journal, time.time()),
            ).fetchone()
            db.execute(
                "DELETE FROM deletion WHERE device=?1 AND done_at IS NOT NULL AND id NOT IN "
                "(SELECT id FROM deletion WHERE device=?1 ORDER BY id DESC LIMIT ?2)",
                (device_id, MOST_KEPT),
            )
        return _deletion(row)

    def get(self, deletion_id: int) -> Deletion | None:
        """Return a deletion, None if there is none."""
        with self._database.read() as db:
            row = db.execute(f"{SELECT} WHERE id=?", (deletion_id,)).fetchone()
        return None if row is None else _deletion(row)

    def waiting(self, journal: str) -> tuple[list[Deletion], list[Deletion]]:
        """Return the deletions for the gateway with this journal, and those for other gateways; the oldest come first.

        Frames of the device may wait in the journal of another gateway, and only that one knows when they are delivered.
        """
        with self._database.read() as db:
            found = [_deletion(row) for row in db.execute(f"{SELECT} WHERE done_at IS NULL ORDER BY id").fetchall()]
        others = [each for each in found if self.is_of_another(each, journal)]
        return [each for each in found if not self.is_of_another(each, journal)], others

    def is_of_another(self, deletion: Deletion, journal: str) -> bool:
        """Return whether only a gateway with another journal may carry out a deletion; a registry in a file has only one gateway."""
        return self._database.is_server and deletion.journal != journal

    def take(self, deletion_id: int, journal: str) -> None:
        """Assign an unfinished deletion to the gateway with this journal, which begins it again."""
        with self._database.write() as db:
            ours = "UPDATE deletion SET journal=?2, position=NULL WHERE id=?1 AND journal<>?2 AND done_at IS NULL"
            db.execute(ours, (deletion_id, journal))

    def is_still(self, deletion: Deletion) -> bool:
        """Return whether a deletion still waits for the gateway that it waited for when it was read."""
        found = self.get(deletion.id)
        return found is not None and found.journal == deletion.journal and found.done_at is None

    def begun(self, deletion: Deletion, position: int) -> bool:
        """Store the position that every sink must pass. Returns False, and stores nothing, if another gateway has taken the deletion."""
        with self._database.write() as db:
            own = "UPDATE deletion SET position=? WHERE id=? AND journal=? AND done_at IS NULL"
            return bool(db.execute(own, (position, deletion.id, deletion.journal)).rowcount)

    def done(self, deletion: Deletion) -> bool:
        """Store that everything is deleted. Returns False, and stores nothing, if another gateway has taken the deletion."""
        with self._database.write() as db:
            own = "UPDATE deletion SET done_at=? WHERE id=? AND journal=? AND done_at IS NULL"
            return bool(db.execute(own, (time.time(), deletion.id, deletion.journal)).rowcount)


def _deletion(row: tuple[Any, ...]) -> Deletion:
    number, device, start_ns, stop_ns, journal, position, asked_at, done_at = row
    return Deletion(
        id=number,
        device=device,
        start_ns=start_ns,
        stop_ns=stop_ns,
        journal=journal,
        position=position,
        asked_at=asked_at,
        done_at=done_at,
    )
