"""The events of one page, over a real journal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import pytest

import iiot_gateway
from iiot_gateway import _native
from iiot_gateway.api.feed import Feed
from iiot_gateway.pipeline.status import StatusView
from iiot_gateway.pipeline.views import Views

pytestmark = pytest.mark.anyio

PROFILE = Path(iiot_gateway.__file__).parent / "profiles" / "lora-bridge.toml"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[_native.Journal]:
    """An empty journal."""
    journal = _native.Journal.open(str(tmp_path / "journal.db"))
    yield journal
    journal.close()


@pytest.fixture
def feed(journal: _native.Journal) -> Feed:
    """A feed for one page."""
    return Feed(Views(status=StatusView(journal, [], []), rejects=lambda _limit: [], live=_native.Live(journal)), max_pages=1)


async def test_what_comes_while_a_page_reads_is_in_its_next_event(journal: _native.Journal, feed: Feed) -> None:
    """A page that is slow with one event misses no value of the looks meanwhile."""
    profile = _native.Profile.parse(PROFILE.read_text())
    intake = journal.add_source("serial", profile=profile, topic_prefix="iiot", tags={})

    async def come(seq: int) -> None:
        intake.push(f'{{"ts":{seq},"n1":{{"t":{seq},"seq":{seq}}}}}\n'.encode(), seq * 10**9)
        assert intake.settled(10.0)
        await feed._look()

    feed.open_page()
    await come(1)
    async with aclosing(feed.events()) as events:
        with anyio.fail_after(10):
            await anext(events)  # latest
            await anext(events)  # status
            await come(2)
            first = await _values(events)
            await come(3)  # the page still holds the event before
            second = await _values(events)

    assert (first, second) == (["2"], ["3"])


async def test_a_page_hears_of_a_status_that_was_made_for_another_request(feed: Feed) -> None:
    """Somebody who asks all the time takes nothing from the page."""
    await feed._look()
    feed.open_page()
    async with aclosing(feed.events()) as events:
        with anyio.fail_after(10):
            await anext(events)  # latest
            first = await anext(events)
            made_ms = (await feed.status())["now_ms"]
            while (await feed.status())["now_ms"] == made_ms:
                await anyio.sleep(0.01)
            await feed._look()
            second = await anext(events)

    assert [event.split(b"\n")[0] for event in (first, second)] == [b"event: status"] * 2
    assert first != second


async def test_a_page_hears_that_its_connection_lives_while_nothing_happens(feed: Feed) -> None:
    """A comment is no event, and the page need not take the connection for dead."""
    feed.open_page()
    async with aclosing(feed.events()) as events:
        with anyio.fail_after(10):
            await anext(events)  # latest
            await anext(events)  # status
            assert await anext(events) == b":\n\n"


async def _values(events: Any) -> list[str]:
    """Return the values of the next `changes`."""
    async for event in events:
        name, data = event.split(b"\n")[:2]
        if name == b"event: changes":
            return [value["value"] for value in json.loads(data.removeprefix(b"data: "))["changed"]]
    raise AssertionError("the events have ended")
