"""The supervisor over a journal that fails: what only tells about the gateway ends nothing."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from iiot_gateway._native import JournalError
from iiot_gateway.pipeline import supervisor
from iiot_gateway.pipeline.supervisor import Gateway

pytestmark = pytest.mark.anyio

LEDGER: dict[str, Any] = {"intake": {"received": 0}, "sinks": {}, "journal": {}}


class Journal:
    """Stands in for the extension's; each look at it may be made to fail."""

    def __init__(self) -> None:
        self.failing = False
        self.looks = 0
        self.closed = False
        self.uncommitted: int | None = None

    def status(self) -> dict[str, Any]:
        """Count the look."""
        self.looks += 1
        if self.failing:
            raise JournalError("disk I/O error")
        return {**LEDGER, "sinks": {}}

    def inspect(self, _path: str) -> dict[str, Any]:
        """Look at the closed one."""
        return self.status()

    def notes(self) -> list[str]:
        """Count the look."""
        self.status()
        return []

    def sync(self, _timeout_s: float) -> bool:
        """Be fast."""
        return True

    def wait_delivered(self, _timeout_s: float) -> bool:
        """Be fast."""
        return True

    def close(self, _timeout_s: float) -> int | None:
        """Remember."""
        self.closed = True
        return self.uncommitted


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often."""
    monkeypatch.setattr(supervisor, "SAMPLE_S", 0.01)
    monkeypatch.setattr(supervisor, "NOTES_S", 0.01)


async def test_a_status_that_cannot_be_read_is_logged_and_tried_again(tmp_path: Any, events: list[dict[str, Any]]) -> None:
    """The journal's disk fails for some looks: one line, and the gateway goes on."""
    journal = Journal()
    gateway = Gateway(journal, str(tmp_path / "journal.db"), [], [], commands={})  # type: ignore[arg-type]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(gateway.run)
        while not any(event["event"] == "gateway_started" for event in events):
            await anyio.sleep(0.01)
        journal.failing = True
        failed_at = journal.looks
        while journal.looks < failed_at + 10:
            await anyio.sleep(0.01)
        journal.failing = False
        again_at = journal.looks
        while journal.looks < again_at + 4:
            await anyio.sleep(0.01)
        gateway._stopping.set()

    said = [event for event in events if event["event"] == "journal_not_read"]
    assert 1 <= len(said) <= 2, "one line for each of the two who look"
    assert said[0]["error"] == "disk I/O error"
    assert journal.closed


@pytest.mark.parametrize(("uncommitted", "code"), [(None, 0), (0, 0), (7, 4)])
async def test_documents_that_were_never_committed_are_said_with_their_number(
    tmp_path: Any, events: list[dict[str, Any]], uncommitted: int | None, code: int
) -> None:
    """What the disk did not take until the end is lost, and the log and the exit code say so."""
    journal = Journal()
    journal.uncommitted = uncommitted

    assert await Gateway(journal, str(tmp_path / "journal.db"), [], [], commands={}).run(once=True) == code  # type: ignore[arg-type]

    said = [event["frames"] for event in events if event["event"] == "frames_lost"]
    assert said == ([uncommitted] if uncommitted else [])


async def test_a_fault_of_a_service_ends_that_service_only(tmp_path: Any, events: list[dict[str, Any]]) -> None:
    """It is said with its place; the gateway goes on."""

    async def page(_views: Any) -> None:
        raise ZeroDivisionError

    gateway = Gateway(Journal(), str(tmp_path / "journal.db"), [], [], commands={}, services=[page])  # type: ignore[arg-type]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(gateway.run)
        while not {"service_failed", "gateway_started"} <= {event["event"] for event in events}:
            await anyio.sleep(0.01)
        (failed,) = [event for event in events if event["event"] == "service_failed"]
        tasks.cancel_scope.cancel()

    assert failed["service"].endswith("page")
    assert failed["exc_info"]
