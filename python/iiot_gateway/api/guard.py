"""Decides whether a request is allowed, by its Host header and its token, and sets the headers that isolate the page.

Plain ASGI.
"""

from __future__ import annotations

import functools
import hmac
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from hashlib import sha256
from typing import Any

from iiot_gateway.api.part import HttpPart
from iiot_gateway.api.problem import PROBLEM_TYPE, Problem
from iiot_gateway.config.schema import HttpSection
from iiot_gateway.config.urls import is_loopback, listen_host

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PAGE_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; manifest-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_HEADERS = [(b"x-content-type-options", b"nosniff")]
_HEADERS_OF_PAGES = [*_HEADERS, *((name.encode(), value.encode()) for name, value in PAGE_HEADERS.items())]
PROTECTED = ("/api/v1/", "/metrics")
"""The addresses that return data. The page itself contains none; it asks for the token."""
DESCRIPTION = "/api/v1/openapi.json"
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Guard:
    """Middleware in front of the application."""

    def __init__(self, app: App, section: HttpSection, parts: Iterable[HttpPart] = ()) -> None:
        self._app = app
        self._parts = tuple(parts)
        self._token = _digest(section.token.reveal()) if section.token else None
        host = listen_host(section.listen)
        # The Host header shows if another site's name was rebound to a loopback address. Elsewhere the token keeps such a site out.
        self._hosts = LOCAL_NAMES | {host, *(name.lower() for name in section.allowed_hosts)} if is_loopback(host) else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            return

        # A browser shows, or loads into a page, only answers to GET. Devices post all the time, and each header costs time.
        own = _HEADERS_OF_PAGES if scope["method"] in ("GET", "HEAD") else _HEADERS

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *own]
            await send(message)

        if problem := self._problem(scope):
            await respond(problem, send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)

    def _problem(self, scope: Scope) -> Problem | None:
        headers = dict(scope["headers"])
        if self._hosts is not None and b"host" in headers and (host := _host_name(headers[b"host"])) not in self._hosts:
            return Problem(
                421,
                "unknown_host",
                f"this gateway is not called {host[:80]!r}",
                "open it as http://localhost, or name the host in http.allowed_hosts",
            )
        path = scope["path"]
        if self._token is None or not path.startswith(PROTECTED) or path == DESCRIPTION or any(part.guards(path) for part in self._parts):
            return None
        if self.is_authorized(scope):
            return None
        return Problem(
            401,
            "token_needed",
            "the token is missing or wrong",
            "send it as `Authorization: Bearer TOKEN`; it is [http] token of the gateway's configuration",
            {"www-authenticate": "Bearer"},
        )

    def is_authorized(self, scope: Scope) -> bool:
        """Return whether the request has the token, in constant time. Without a configured token, every request is accepted."""
        given = dict(scope["headers"]).get(b"authorization", b"")
        kind, _, token = given.partition(b" ")
        return self._token is None or (kind.lower() == b"bearer" and hmac.compare_digest(sha256(token.strip()).digest(), self._token))


async def respond(problem: Problem, send: Send, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """Send a problem as the answer."""
    body = problem.body()
    start = [(b"content-type", PROBLEM_TYPE.encode()), (b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store")]
    start += [(name.encode(), value.encode()) for name, value in problem.headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": [*start, *headers]})
    await send({"type": "http.response.body", "body": body})


def _digest(text: str) -> bytes:
    return sha256(text.encode()).digest()


@functools.lru_cache(maxsize=64)
def _host_name(header: bytes) -> str:
    """Return the name of a Host header, without port and brackets."""
    text = header.decode("latin-1").strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.rpartition(":")[0] if ":" in text else text
