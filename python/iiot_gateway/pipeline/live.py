"""The newest values for the control socket: the command `{"command": "live"}`, which `tail` sends again and again.

In a request, `run` names this process and `since` the version that the client has; both come from the answer before. Without them, and
after a restart, every series is new. The answer has the schema Changes of the HTTP API, without the parts for charts and with `run`.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iiot_gateway._native import Live


class LiveValues:
    """Makes the live values at the first request, so they cost nothing in a gateway that nobody watches."""

    def __init__(self, make: Callable[[], Live]) -> None:
        self._make = make
        self._live: Live | None = None
        self._lock = threading.Lock()
        self._run = f"{os.getpid()}-{time.time_ns()}"

    def live(self) -> Live:
        """Return the live values. Blocks while they are made. Raises JournalError."""
        with self._lock:
            if self._live is None:
                self._live = self._make()
            return self._live

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer one request. Raises ValueError for a wrong one."""
        since = request.get("since", 0)
        if not isinstance(since, int) or isinstance(since, bool) or not 0 <= since < 2**63:
            raise ValueError(f"since: expected a version, found {since!r}")
        live = self.live()
        live.follow()
        document: dict[str, Any] = json.loads(live.changes(since if request.get("run") == self._run else 0))
        for series in document["added"]:
            del series["samples"]
        return {"run": self._run, "version": document["version"], "added": document["added"], "changed": document["changed"]}
