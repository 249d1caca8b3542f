"""A history whose pages are damaged: found at the start of the sink, or when they are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from histories import store
from iiot_gateway._native import HistoryError, Journal
from iiot_gateway._native import HistorySink as NativeSink
from iiot_gateway.sinks.history.section import HistorySection
from iiot_gateway.sinks.history.sink import HistorySink

pytestmark = [pytest.mark.native, pytest.mark.anyio]

POINTS, PAGE_BYTES = 50_000, 4096


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """One whose frames are all stored in a history beside it."""
    with closing(Journal.open(str(tmp_path / "journal.db"))) as journal:
        store(journal, tmp_path / "history.db", POINTS)
        yield journal


@pytest.fixture
def damaged(journal: Journal, tmp_path: Path) -> Path:
    """The history, one page of it overwritten that nobody reads when it is opened."""
    assert journal
    path = tmp_path / "history.db"
    pages = path.stat().st_size // PAGE_BYTES
    assert pages > 20
    with path.open("r+b") as file:
        file.seek(pages // 2 * PAGE_BYTES)
        file.write(b"\xff" * PAGE_BYTES)
    return path


def test_a_check_finds_at_the_opening_what_would_be_found_by_reading(journal: Journal, damaged: Path) -> None:
    """Without it the file is opened as it is; with it nothing in it is changed."""
    before = damaged.read_bytes()
    with closing(NativeSink(journal, "history")) as native:
        with pytest.raises(HistoryError, match="move it and its -wal file away") as raised:
            native.open(str(damaged), check=True)
        assert raised.value.kind == "damaged"
        assert native.size() is None
        assert damaged.read_bytes() == before

        native.open(str(damaged), check=False)
        assert native.size() is not None


async def test_the_sink_checks_at_its_start_and_begins_anew_where_the_file_was_moved_away(
    journal: Journal, damaged: Path, events: list[dict[str, Any]]
) -> None:
    """As its remedy says."""
    sink = HistorySink("history", HistorySection(path=str(damaged)), str(damaged), NativeSink(journal, "history"))

    async def said(event: str) -> dict[str, Any]:
        with anyio.fail_after(20):
            while not (found := [entry for entry in events if entry["event"] == event]):
                await anyio.sleep(0.01)
        return found[0]

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sink.run)
        unavailable = await said("sink_unavailable")
        for file in damaged.parent.glob("history.db*"):
            file.rename(file.with_name(f"old-{file.name}"))
        await said("sink_available")
        await sink.stop(3.0)

    assert unavailable["kind"] == "damaged"
    assert {file.name for file in damaged.parent.glob("*history.db")} == {"history.db", "old-history.db"}
