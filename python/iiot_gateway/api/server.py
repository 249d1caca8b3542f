"""Serves the HTTP routes beside the gateway. If the port is taken, that is logged as an error and tried again; it never ends the gateway.

The number of connections is bounded, and so is the time for which each may keep the gateway waiting. So no number of pages can take the
descriptors and the memory that delivery to the sinks needs.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import anyio
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from iiot_gateway.api.app import make_app
from iiot_gateway.api.feed import Feed
from iiot_gateway.api.problem import PROBLEM_TYPE, Problem
from iiot_gateway.config.schema import HttpSection
from iiot_gateway.config.urls import listen_host
from iiot_gateway.log import HTTP_LISTENING, HTTP_UNAVAILABLE, Repeated, get_log
from iiot_gateway.pipeline.supervisor import Service
from iiot_gateway.pipeline.views import Views

RETRY_S = 10.0
FIRST_REQUEST_S = 10.0
"""How long a connection may take for its first request, and for a further one that has begun."""
SLOW_READER_S = 20.0
CERTIFICATE_REMEDY = "check http.tls_cert_file and http.tls_key_file: both are PEM, and belong together"
MOST_HEAD_BYTES = 65_536
LONG_HEAD = Problem(431, "head_too_long", f"a request's head has more than {MOST_HEAD_BYTES} bytes", "send shorter headers")
CROWDED = Problem(503, "too_many_connections", "the gateway has too many connections", "close some pages", {"retry-after": "10"})


class BoundedProtocol(HttpToolsProtocol):
    """One connection. It is refused if there are more than `max_connections`, and cut off if it sends no request or does not read.

    This class uses the calls that asyncio makes to every protocol, and the begin and end of the application. Of uvicorn it uses the
    constructor, `app`, and the set of connections in the server's state.
    """

    max_connections = 64

    def __init__(self, config: uvicorn.Config, server_state: Any, app_state: dict[str, Any], **settings: Any) -> None:
        super().__init__(config, server_state, app_state, **settings)
        self._state = server_state
        self._limit: asyncio.TimerHandle | None = None
        self._answering = 0
        self._unanswered = 0
        self._application, self.app = self.app, self._answer

    def connection_made(self, transport: Any) -> None:
        """Accept the connection, or answer that there are too many."""
        super().connection_made(transport)
        self._connection = transport
        if len(self._state.connections) > self.max_connections:
            transport.write(_raw(CROWDED))
            transport.close()
        else:
            self._abort_after(FIRST_REQUEST_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer of this connection."""
        self._no_limit()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read. A request whose head is not complete has FIRST_REQUEST_S seconds and a limited size."""
        if not self._answering and self._unanswered > MOST_HEAD_BYTES:
            self._connection.write(_raw(LONG_HEAD))
            self._connection.close()
            return
        if not self._answering:
            self._unanswered += len(data)
        super().data_received(data)
        if self._limit is None and not self._answering:
            self._abort_after(FIRST_REQUEST_S)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request whose head is complete. The application limits the time for its body."""
        self._no_limit()
        self._answering += 1
        self._unanswered = 0
        try:
            await self._application(scope, receive, send)
        finally:
            self._answering -= 1
            self._unanswered = 0

    def pause_writing(self) -> None:
        """Wait for the other side to read, for a limited time."""
        super().pause_writing()
        self._abort_after(SLOW_READER_S)

    def resume_writing(self) -> None:
        """Continue, because the other side reads again."""
        self._no_limit()
        super().resume_writing()

    def _abort_after(self, seconds: float) -> None:
        self._no_limit()
        self._limit = asyncio.get_running_loop().call_later(seconds, self._cut)

    def _cut(self) -> None:
        # Without lingering, the kernel also drops unsent data, and the other side gets a reset.
        self._connection.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.abort()

    def _no_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers, because the gateway decides the order of stopping."""

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
            get_log().info(HTTP_LISTENING, listen=section.listen, page=_url(listener, is_tls=bool(section.tls_cert_file)))
            feed = Feed(views, section.max_pages)
            protocol = type("_Protocol", (BoundedProtocol,), {"max_connections": section.max_pages + section.max_connections})
            config = uvicorn.Config(
                make_app(views, feed, section),
                http=protocol,
                ws="none",
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                proxy_headers=False,  # code that needs the client's address reads it from the proxy's header itself
                timeout_graceful_shutdown=1,
                ssl_certfile=section.tls_cert_file or None,
                ssl_keyfile=section.tls_key_file or None,
            )
            try:
                config.load()
            except (OSError, ValueError) as error:
                listener.close()
                if (extra := repeated.allows(str(error))) is not None:
                    get_log().error(
                        HTTP_UNAVAILABLE, listen=section.listen, error=f"the certificate: {error}", remedy=CERTIFICATE_REMEDY, **extra
                    )
                await anyio.sleep(RETRY_S)
                continue
            # All objects loaded until now stay in use. Without this, the garbage collector would examine all of them again and again.
            gc.collect()
            gc.freeze()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(feed.run)
                if config.ssl is not None:
                    from iiot_gateway.api.certificates import renew

                    tasks.start_soon(renew, config.ssl, section.tls_cert_file, section.tls_key_file)
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


def _url(listener: socket.socket, *, is_tls: bool) -> str:
    host, port = listener.getsockname()[:2]
    return f"{'https' if is_tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}/"


def _raw(problem: Problem) -> bytes:
    body = problem.body()
    headers = {"content-type": PROBLEM_TYPE, "content-length": str(len(body)), "connection": "close", **problem.headers}
    lines = [
        f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}",
        *(f"{name}: {value}" for name, value in headers.items()),
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body
