"""The HTTP server's limits of number and time, over real connections, and the page's files."""

from __future__ import annotations

import asyncio
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from iiot_gateway.api import page, server


async def endless(_scope: Any, receive: Any, send: Any) -> None:
    """Send as long as the reader is there, as fast as it takes it."""
    await receive()
    gone = asyncio.ensure_future(receive())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while not gone.done():
        await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})
        await asyncio.sleep(0)


async def brief(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer at once, and keep the connection."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@contextmanager
def serving(max_connections: int = 8, app: Any = endless) -> Iterator[int]:
    """Serve on a free port with the gateway's protocol; give the port."""
    protocol = type("Protocol", (server.BoundedProtocol,), {"max_connections": max_connections})
    listener = server._listen("127.0.0.1", 0)
    listener.listen()
    config = uvicorn.Config(app, http=protocol, ws="none", log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    serve = server._Server(config)
    thread = threading.Thread(target=serve.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        serve.should_exit = True
        serve.force_exit = True
        thread.join()


def connect(port: int) -> socket.socket:
    """Open a connection."""
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def read_to_end(connection: socket.socket) -> bytes:
    """Read until the other side closes or cuts the connection."""
    read = b""
    try:
        while chunk := connection.recv(1 << 20):
            read += chunk
    except ConnectionResetError:
        pass
    return read


def test_a_connection_that_asks_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a request is no request."""
    monkeypatch.setattr(server, "FIRST_REQUEST_S", 0.2)

    with serving() as port, connect(port) as silent, connect(port) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: local")

        assert read_to_end(silent) == b""
        assert read_to_end(slow) == b""


def test_half_a_request_behind_a_whole_one_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a connection that was served once could be held for ever."""
    monkeypatch.setattr(server, "FIRST_REQUEST_S", 0.2)

    with serving(app=brief) as port, connect(port) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert slow.recv(1 << 20).startswith(b"HTTP/1.1 ")
        slow.sendall(b"GET / HTTP/1.1\r\nHost: local")

        assert read_to_end(slow) == b""


def test_a_reader_that_does_not_read_is_cut_off_and_one_that_reads_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for it in memory is bounded by time as well."""
    monkeypatch.setattr(server, "SLOW_READER_S", 0.5)
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

    with serving() as port, connect(port) as reader, connect(port) as stuck:
        stuck.sendall(request)
        reader.sendall(request)
        # As long as the stuck one could have been given something more, the other one is.
        ended = threading.Event()
        end = threading.Thread(target=lambda: (_wait_for_cut(stuck), ended.set()))
        end.start()
        while not ended.is_set():
            assert reader.recv(1 << 16)
        end.join()
        assert reader.recv(1 << 16)


def _wait_for_cut(connection: socket.socket) -> None:
    """Wait without reading until the connection is reset."""
    poller = select.poll()
    poller.register(connection, select.POLLHUP | select.POLLERR)
    assert poller.poll(10_000)


def test_connections_beyond_the_limit_are_told_so() -> None:
    """The answer is a whole one, with a time to come again."""
    with serving(max_connections=2) as port, connect(port) as first, connect(port) as second:
        for connection in (first, second):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(12) == b"HTTP/1.1 200"
        with connect(port) as third:
            answer = read_to_end(third)

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 10\r\n" in answer
    assert b"too_many_connections" in answer


def test_a_checkout_without_the_built_page_has_none(tmp_path: Path) -> None:
    """The gateway runs all the same."""
    assert page.load(tmp_path) == {}


def test_files_of_the_page_are_served_by_their_own_names_only(tmp_path: Path) -> None:
    """Files that browsers have no use for are left out."""
    (tmp_path / "assets").mkdir()
    for name in ("index.html", "assets/main-AB12.js", "built"):
        (tmp_path / name).write_text("x")

    assets = page.load(tmp_path)

    assert set(assets) == {"/index.html", "/assets/main-AB12.js"}
    assert "immutable" in assets["/assets/main-AB12.js"].headers["cache-control"]
    assert assets["/index.html"].headers["cache-control"] == "no-cache"
