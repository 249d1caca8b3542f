"""The interface of a sink: an object with a name that delivers frames from the journal until it is stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

StatusDocument = Callable[[], dict[str, Any]]


class Sink(Protocol):
    """A sink. The journal keeps the sink's position under its name."""

    @property
    def name(self) -> str:
        """The name in the configuration, the journal and the metrics."""

    @property
    def kind(self) -> str:
        """The kind, such as mqtt, influxdb or history."""

    @property
    def status(self) -> SinkStatus:
        """The present state of the sink."""

    async def run(self) -> None:
        """Deliver until `stop`. Raises SinkUnavailable only if the peer is absent at start and on_start is "fail"."""

    async def stop(self, timeout_s: float) -> None:
        """Make `run` return within `timeout_s` seconds. Work under way is finished, or left to the next start."""


@dataclass(slots=True)
class SinkStatus:
    """The state of a sink, kept by the sink itself; times are Unix seconds."""

    state: str = "starting"
    last_error: str = ""
    since: float = field(default_factory=time.time)
    reconnects: int = 0
    was_available: bool = False
    details: dict[str, Any] = field(default_factory=dict)
    """Values that only this kind of sink has."""

    def change(self, state: str, error: str | None = None) -> None:
        """Enter a state. With `error` None the last error stays; with an empty `error` it is cleared."""
        if state != self.state:
            self.state, self.since = state, time.time()
        if error is not None:
            self.last_error = error
        self.was_available = self.was_available or state == "connected"

    def document(self) -> dict[str, Any]:
        """Return the state, for the status document and the metrics."""
        return {
            "state": self.state,
            "last_error": self.last_error or None,
            "since": self.since,
            "reconnects": self.reconnects,
            **self.details,
        }
