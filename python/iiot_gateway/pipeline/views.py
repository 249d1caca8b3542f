"""The views of a running gateway for services beside it (HTTP): read-only, from any thread."""

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
        """Every series: {"id", "measurement", "tags", "field", "topic", "first_ns", "last_ns", "points"}."""

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
        """Points of a series from `start_ns` to before `end_ns`: times in nanoseconds, and values.

        Raises ValueError for a wrong question, HistoryUnusable of the kind "timeout" where `timeout_s` (0: none) is not enough.
        """


OpenHistory = Callable[[], AbstractContextManager[History]]
"""Raises HistoryUnusable, also for what goes wrong within."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """The calls block, so they belong into worker threads."""

    status: StatusView
    rejects: Callable[[int], list[dict[str, Any]]]
    """The newest rejects, at most so many."""
    live: Live | None = None
    """None unless somebody may look."""
    open_history: OpenHistory | None = None
    """None without a [history] section."""
    alerts: Callable[[], dict[str, Any]] | None = None
    """Rules, their alerts and receivers; None where nothing is judged."""
    site: Callable[[str, tuple[str, int] | None], dict[str, Any] | None] = lambda _origin, _behind: None
    """Which values of a site came, by the id of its journal, behind a run and number; None for an unknown site."""
    http_parts: Sequence[HttpPart] = ()
    """What components bring for the HTTP interface."""
