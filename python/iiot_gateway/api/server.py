"""Serve the HTTP routes beside the gateway. A taken port is said loudly and tried again; it never ends the gateway.

Connections are bounded, in number and in what each may keep the gateway waiting for, so that no crowd of pages takes the descriptors
and the memory that the way to the sinks needs.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from iiot_gateway.api.app import make_app
from iiot_gateway.api.feed import Feed
from iiot_gateway.api.problem import Problem
from iiot_gateway.config.schema import HttpSection
from iiot_gateway.config.urls import listen_host
from iiot_gateway.log import HTTP_LISTENING, HTTP_UNAVAILABLE, Repeated, get_log
from iiot_gateway.pipeline.supervisor import Service
from iiot_gateway.pipeline.views import Views

RETRY_S = 10.0
SPARE_CONNECTIONS = 64
"""Beside those of the pages: for requests that are answered at once."""
FIRST_REQUEST_S = 10.0
"""How long a connection may take for its first request, and for a further one that has begun."""
SLOW_READER_S = 20.0
CROWDED = Problem(503, "too_many_connections", "the gateway has too many connections", "close some pages", {"retry-after": "10"})


class BoundedProtocol(H11Protocol):
    """One connection, which is refused beyond `max_connections`, and cut off if it asks for nothing or does not read."""

    max_connections = SPARE_CONNECTIONS

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Take the connection, or say that there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            transport.write(_raw(CROWDED))
            transport.close()
        else:
            self._abort_after(FIRST_REQUEST_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the limit of time."""
        self._no_limit()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read; half a request behind a whole one has the time of a first one."""
        super().data_received(data)
        if self._limit is None and self.cycle is not None and self.cycle.response_complete:
            self._abort_after(FIRST_REQUEST_S)

    def handle_events(self) -> None:
        """Read requests; a whole one ends the wait for it."""
        super().handle_events()
        if self.cycle is not None:
            self._no_limit()

    def pause_writing(self) -> None:
        """Wait for a reader, but not for ever."""
        super().pause_writing()
        self._abort_after(SLOW_READER_S)

    def resume_writing(self) -> None:
        """Go on: it reads."""
        self._no_limit()
        super().resume_writing()

    def _abort_after(self, seconds: float) -> None:
        self._no_limit()
        self._limit = self.loop.call_later(seconds, self._cut)

    def _cut(self) -> None:
        # Without lingering the kernel lets go of what is unsent as well, and the other side learns of it.
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _no_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the gateway's order of stopping holds."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def http_service(section: HttpSection) -> Service:
    """Return the service that answers at ADDRESS:PORT."""
    host, port = listen_host(section.listen), int(section.listen.rpartition(":")[2])

    async def serve(views: Views) -> None:
        repeated = Repeated()
        while True:
            try:
                listener = _listen(host, port)
            except OSError as error:
                if (extra := repeated.allows(error.errno)) is not None:
                    get_log().error(
                        HTTP_UNAVAILABLE,
                        listen=section.listen,
                        error=error.strerror,
                        remedy="set http.listen to a free port",
                        **extra,
                    )
                await anyio.sleep(RETRY_S)
                continue
            get_log().info(HTTP_LISTENING, listen=section.listen, page=_url(listener))
            feed = Feed(views, section.max_pages)
            protocol = type("_Protocol", (BoundedProtocol,), {"max_connections": section.max_pages + SPARE_CONNECTIONS})
            config = uvicorn.Config(
                make_app(views, feed, section),
                http=protocol,
                ws="none",
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=1,
            )
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(feed.run)
                await _Server(config).serve(sockets=[listener])
                tasks.cancel_scope.cancel()
            return

    return serve


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def _raw(problem: Problem) -> bytes:
    body = problem.body()
    headers = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close", **problem.headers}
    lines = [f"HTTP/1.1 {problem.status} Service Unavailable", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + body
