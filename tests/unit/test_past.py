"""Questions of pages to the history: how long one may take, and how many are answered at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from histories import store
from iiot_gateway import _native
from iiot_gateway.api import past
from iiot_gateway.api.app import make_app
from iiot_gateway.api.feed import Feed
from iiot_gateway.api.guard import App
from iiot_gateway.config.load import load_text
from iiot_gateway.config.schema import HttpSection
from iiot_gateway.pipeline.status import StatusView
from iiot_gateway.pipeline.views import AGGREGATES, History, OpenHistory, Views
from iiot_gateway.sinks.history.reading import history_for_pages

pytestmark = [pytest.mark.native, pytest.mark.anyio]

POINTS = 60_000
"""A millisecond apart."""
OPENAPI = json.loads((files("iiot_gateway") / "api" / "openapi.json").read_text())
RANGE = f"id=1&start_ms=0&end_ms={POINTS}&every_ms=7"
"""No roll-up fits this width, so every point is read."""


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[_native.Journal]:
    """Its points lie in the history beside it."""
    with closing(_native.Journal.open(str(tmp_path / "journal.db"))) as journal:
        store(journal, tmp_path / "history.db", POINTS)
        yield journal


@pytest.fixture
def open_history(journal: _native.Journal, tmp_path: Path) -> OpenHistory:
    """As `run` gives it to the pages."""
    assert journal
    given = history_for_pages(load_text(f'[history]\npath = "{tmp_path}/history.db"'))
    assert given is not None
    return given


def app(journal: _native.Journal, open_history: OpenHistory) -> App:
    """Return the API over this history."""
    views = Views(status=StatusView(journal, [], []), rejects=lambda _limit: [], open_history=open_history)
    return make_app(views, Feed(views, max_pages=1), HttpSection(listen="127.0.0.1:0"))


async def get(app: App, path: str, query: str = "") -> tuple[int, Any]:
    """GET over the interface that a server has; return status and document."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "headers": [(b"host", b"localhost")]}
    await app(scope, receive, send)
    return sent[0]["status"], json.loads(b"".join(message.get("body", b"") for message in sent))


async def test_a_range_that_takes_too_long_is_503_with_a_remedy(
    journal: _native.Journal, open_history: OpenHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the description says; the same question with more time is answered, and the next one too."""
    pages = app(journal, open_history)
    with monkeypatch.context() as patch:
        patch.setattr(past, "TIMEOUT_S", 1e-6)
        status, problem = await get(pages, "/api/v1/range", RANGE)

    assert (status, problem["error"]) == (503, "history_timeout")
    assert "every_ms" in problem["remedy"]
    assert "503" in OPENAPI["paths"]["/api/v1/range"]["get"]["responses"]
    status, document = await get(pages, "/api/v1/range", RANGE)
    assert (status, len(document["values"])) == (200, -(-POINTS // 7))


async def test_two_ranges_are_read_at_once_and_a_third_waits_while_the_status_is_there(
    journal: _native.Journal, open_history: OpenHistory
) -> None:
    """However many pages draw charts, they take two threads."""
    entered, leave = threading.Semaphore(0), threading.Event()
    inside = most_inside = 0
    counting = threading.Lock()

    @contextmanager
    def slow() -> Iterator[History]:
        nonlocal inside, most_inside
        with counting:
            inside += 1
            most_inside = max(most_inside, inside)
        entered.release()
        assert leave.wait(20)
        with open_history() as history:
            yield history
        with counting:
            inside -= 1

    pages = app(journal, slow)
    answers: list[int] = []

    async def ask() -> None:
        answers.append((await get(pages, "/api/v1/range", RANGE))[0])

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(ask)
        for _ in range(2):
            assert await anyio.to_thread.run_sync(entered.acquire, True, 20.0)
        status, _document = await get(pages, "/api/v1/status")
        leave.set()

    assert (status, answers) == (200, [200] * 3)
    assert most_inside == 2


def test_the_description_has_the_functions_that_there_are() -> None:
    """In their order."""
    (agg,) = (one for one in OPENAPI["paths"]["/api/v1/range"]["get"]["parameters"] if one["name"] == "agg")

    assert tuple(agg["schema"]["enum"]) == AGGREGATES
