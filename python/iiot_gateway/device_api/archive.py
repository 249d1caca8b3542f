"""Queries for the values of devices: one interface for every archive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A query for values. Times are Unix nanoseconds; the end is not part of the span."""

    device_id: str
    start_ns: int
    stop_ns: int
    measurement: str | None = None
    limit: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value of a field."""

    time_ns: int
    measurement: str
    field: str
    value: Any
    tags: dict[str, str]


class Archive(Protocol):
    """A store of values. The calls block; each raises Problem."""

    name: str
    """Its name in answers: influxdb, postgresql or history."""

    def values(self, question: Question) -> list[Value]:
        """Return values by time, the newest `limit` of them."""

    def latest(self, device_id: str, measurement: str | None) -> list[Value]:
        """Return the newest value per field, by the time of measurement."""

    def version(self) -> str:
        """Return its version, for `influxdb/health`."""
