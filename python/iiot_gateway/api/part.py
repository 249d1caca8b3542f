"""A part of the HTTP interface that a component adds: its addresses, and which of them it guards itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpPart:
    """Addresses of a component."""

    routes: Callable[[], Sequence[BaseRoute]]
    """Makes the routes, for the application."""
    guards: Callable[[str], bool]
    """Tells whether a path is guarded by the part's own keys, so that the page's token is not asked for."""
    shortcuts: Mapping[str, Handler]
    """Handlers for addresses that get requests all the time. Each of these addresses is among `routes` as well."""
    describe: Callable[[], Mapping[str, Any]]
    """Returns `paths` and `components` for the OpenAPI description."""
