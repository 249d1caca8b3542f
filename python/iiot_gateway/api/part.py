"""A part of the HTTP interface that a component brings: its addresses, and which of them it guards itself."""

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
    """Makes them, for the application."""
    guards: Callable[[str], bool]
    """Tells whether a path is guarded by the part's own keys, so that the page's token is not asked for."""
    shortcuts: Mapping[str, Handler]
    """What answers at addresses that are asked all the time. Each is among `routes` as well."""
    describe: Callable[[], Mapping[str, Any]]
    """Gives `paths` and `components` for the OpenAPI description."""
