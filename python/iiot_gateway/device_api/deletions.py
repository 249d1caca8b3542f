"""Carries out deletions: first every sink passes what the journal had, then every place that keeps values deletes.

Otherwise frames that wait in the journal would bring back what was deleted. A deletion stands in the registry until it is done, and each of
its steps may be repeated, so that a kill at any moment only makes it later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread

from iiot_gateway._native import JournalError
from iiot_gateway.api.problem import Problem
from iiot_gateway.errors import GatewayError, RegistryUnusable
from iiot_gateway.log import DEVICE_DATA_DELETED, DEVICE_DATA_NOT_DELETED, Repeated, get_log

if TYPE_CHECKING:
    from iiot_gateway._native import Journal
    from iiot_gateway.device_api.keepers import Keeper
    from iiot_gateway.registry.deletions import Deletion
    from iiot_gateway.registry.store import Registry

T = TypeVar("T")

AT_ONCE_S = 5.0
"""How long (s) a call waits for its deletion, so that most calls are answered with 200."""
LOOK_S = 0.2
RETRY_S = 2.0
OTHERS_S = 60.0
"""How often (s) the gateway looks for deletions that wait for another gateway."""
OVERDUE_S = 3600.0
"""How long (s) a deletion waits for another gateway before this is reported: the journal of that gateway may have been replaced."""
COMMIT_S = 10.0


class DeletionService:
    """The deletions of a gateway."""

    def __init__(self, registry: Registry, journal: Journal, keepers: Sequence[Keeper]) -> None:
        self._stored = registry.deletions
        self._journal = journal
        self._journal_id = journal.id
        self.keepers = keepers
        self._wake = anyio.Event()
        self._done: dict[int, set[anyio.Event]] = {}
        """The calls that wait for a deletion, by its id: there may be several."""
        self._failures: dict[int, str] = {}
        """The reason why the last attempt of a deletion failed, by the id of the deletion."""
        self._overdue: list[Deletion] = []

    async def ask(self, device_id: str, start_ns: int, stop_ns: int) -> Deletion:
        """Store a deletion, and wait a moment for it. Raises Problem 501 if a place cannot delete, TooManyWaiting, RegistryUnusable."""
        await self._must_be_possible()
        return await self._watch(await _in_thread(lambda: self._stored.add(device_id, start_ns, stop_ns, journal=self._journal_id)))

    async def take(self, deletion: Deletion) -> Deletion:
        """Take over a deletion that another gateway accepted, and wait a moment for it. Raises Problem 501, RegistryUnusable."""
        if deletion.done_at is not None:
            return deletion
        await self._must_be_possible()
        await _in_thread(lambda: self._stored.take(deletion.id, self._journal_id))
        return await self._watch(deletion)

    async def _must_be_possible(self) -> None:
        for keeper in self.keepers:
            if (refusal := await _in_thread(keeper.refusal)) is not None:
                raise refusal

    async def _watch(self, deletion: Deletion) -> Deletion:
        done = anyio.Event()
        waits = self._done.setdefault(deletion.id, set())
        waits.add(done)
        self._wake.set()
        try:
            # It may have been done just before this call waited for it.
            found = await self.find(deletion.id)
            if found is not None and found.done_at is None:
                with anyio.move_on_after(AT_ONCE_S):
                    await done.wait()
                found = await self.find(deletion.id)
        finally:
            waits.remove(done)
            if not waits:
                del self._done[deletion.id]
        return found or deletion

    async def find(self, deletion_id: int) -> Deletion | None:
        """Return a deletion, None if there is none."""
        return await _in_thread(lambda: self._stored.get(deletion_id))

    async def waits_for(self, deletion: Deletion) -> list[str]:
        """Return the sinks that have not yet passed the frames that were in the journal. Raises JournalError."""
        if deletion.done_at is not None or deletion.position is None or deletion.journal != self._journal_id:
            return []
        position = deletion.position
        return await _in_thread(lambda: self._journal.behind(position))

    def failure(self, deletion: Deletion) -> str | None:
        """Return why the last attempt failed, or that the deletion has waited for another gateway for long."""
        if deletion.done_at is not None:
            return None
        if self._stored.is_of_another(deletion, self._journal_id):
            # Most of these are under way there, and to take one would bring values back.
            waits = f"it waits for another gateway; if the journal of that one was replaced: {TAKE.format(deletion.id)}"
            return waits if _is_overdue(deletion) else None
        return self._failures.get(deletion.id)

    def trouble(self) -> str:
        """Name the deletions that have waited long for another gateway; empty if there are none."""
        if not self._overdue:
            return ""
        number = len(self._overdue)
        waits = "1 deletion waits" if number == 1 else f"{number} deletions wait"
        return f"{waits} for another gateway; if the journal of that one was replaced: {TAKE.format(self._overdue[0].id)}"

    async def run(self) -> None:
        """Carry out waiting deletions until cancelled."""
        try:
            await self._carry_on()
        finally:
            for keeper in self.keepers:
                keeper.cancel()

    async def _carry_on(self) -> None:
        repeated = Repeated()
        while True:
            self._wake = anyio.Event()
            wait_s = RETRY_S
            try:
                waiting, others = await _in_thread(lambda: self._stored.waiting(self._journal_id))
                self._overdue = [each for each in others if _is_overdue(each)]
                wait_s = LOOK_S if waiting else OTHERS_S
                for deletion in waiting:
                    if not await self._attempt(deletion, repeated):
                        wait_s = RETRY_S
            except RegistryUnusable as error:
                self._tell(repeated, None, str(error))
            with anyio.move_on_after(wait_s):
                await self._wake.wait()

    async def _attempt(self, deletion: Deletion, repeated: Repeated) -> bool:
        """Carry out a deletion as far as possible now. Return False after a failure."""
        try:
            is_done = await self._carry_out(deletion)
        except Problem as problem:
            self._failures[deletion.id] = problem.message
            self._tell(repeated, deletion, problem.message)
            return False
        except (GatewayError, JournalError) as error:
            self._failures[deletion.id] = str(error)
            self._tell(repeated, deletion, str(error))
            return False
        self._failures.pop(deletion.id, None)
        if is_done:
            get_log().info(DEVICE_DATA_DELETED, device=deletion.device, deletion=deletion.id)
            for waits in self._done.get(deletion.id, ()):
                waits.set()
        return True

    async def _carry_out(self, deletion: Deletion) -> bool:
        device_id, start_ns, stop_ns = deletion.device, deletion.start_ns, deletion.stop_ns
        if deletion.journal == self._journal_id:
            position = deletion.position or await self._begin(deletion)
            if position is None:
                return False
            if await _in_thread(lambda: self._journal.behind(position)):
                return False
        # Also those of sinks, which are there now; and what the cursors say survives the loss of power from here on.
        await _in_thread(lambda: self._journal.delete_rejects(device_id, start_ns, stop_ns))
        for keeper in self.keepers:
            # Each may take long, and an administrator may let another gateway take the deletion meanwhile.
            if not await _in_thread(lambda: self._stored.is_still(deletion)):
                return False
            await _in_thread(_deleting(keeper, deletion))
        return await _in_thread(lambda: self._stored.done(deletion))

    async def _begin(self, deletion: Deletion) -> int | None:
        """Store the position that every sink must pass, and return it; None if another gateway has taken the deletion."""
        # Rejects first: those that were retried until now are before the position.
        await _in_thread(lambda: self._journal.delete_rejects(deletion.device, deletion.start_ns, deletion.stop_ns))
        position = await _in_thread(lambda: self._journal.end(COMMIT_S))
        if position is None:
            raise Problem(503, "journal_slow", "the journal could not be synced", "it is tried again")
        return position if await _in_thread(lambda: self._stored.begun(deletion, position)) else None

    @staticmethod
    def _tell(repeated: Repeated, deletion: Deletion | None, error: str) -> None:
        if (extra := repeated.allows(error)) is not None:
            device = {} if deletion is None else {"device": deletion.device, "deletion": deletion.id}
            get_log().warning(DEVICE_DATA_NOT_DELETED, error=error, consequence="it is tried again", **device, **extra)


TAKE = "POST /api/v1/influxdb/deletions/{}/take lets this gateway do it"


def _is_overdue(deletion: Deletion) -> bool:
    return time.time() - deletion.asked_at >= OVERDUE_S


def _deleting(keeper: Keeper, deletion: Deletion) -> Callable[[], None]:
    return lambda: keeper.delete(deletion.device, deletion.start_ns, deletion.stop_ns)


async def _in_thread(call: Callable[[], T]) -> T:
    # A deletion may take long. The end of the gateway does not wait for it: it is interrupted, and continues at the next start.
    return await anyio.to_thread.run_sync(call, abandon_on_cancel=True)
