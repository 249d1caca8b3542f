"""Read-only views of a running gateway for its services, such as HTTP. They can be used from any thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from iiot_gateway._native import AGGREGATES
from iiot_gateway.pipeline.status import StatusView

if TYPE_CHECKING:
    from iiot_gateway._native import Live
    from iiot_gateway.api.part import HttpPart

__all__ = ["AGGREGATES", "History", "OpenHistory", "Views"]


class History(Protocol):
    """The stored points, for reading."""

    def series(self) -> list[dict[str, Any]]:
        """Return every series: {"id", "measurement", "tags", "field", "topic", "first_ns", "last_ns", "points"}."""

    def range(
        self,
        number: int,
        start_ns: int,
        end_ns: int,
        /,
        *,
        every_ns: int = 0,
        agg: str = "mean",
        limit: int = 100_000,
        timeout_s: float = 0.0,
    ) -> tuple[list[int], list[float | None]]:
        """Return points of a series from `start_ns` to before `end_ns`: times in nanoseconds, and values.

        Raises ValueError for a wrong query, and HistoryUnusable of the kind "timeout" after `timeout_s` seconds (0: no limit).
        """


OpenHistory = Callable[[], AbstractContextManager[History]]
"""Raises HistoryUnusable, also for errors within the `with` block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """The views. Their calls block, so call them from worker threads."""

    status: StatusView
    rejects: Callable[[int], list[dict[str, Any]]]
    """Returns the newest rejects, at most the given number."""
    live: Live | None = None
    """The live values; None if nothing can show them."""
    open_history: OpenHistory | None = None
    """Opens a history; None without a [history] section."""
    alerts: Callable[[], dict[str, Any]] | None = None
    """Returns rules, alerts and receivers; None without an alerts sink."""
    site: Callable[[str, tuple[str, int] | None], dict[str, Any] | None] = lambda _origin, _behind: None
    """Returns the values that came from a site, given the id of its journal and the run and number behind which to begin.

    Returns None for an unknown site.
    """
    http_parts: Sequence[HttpPart] = ()
    """The parts that components add to the HTTP interface."""
