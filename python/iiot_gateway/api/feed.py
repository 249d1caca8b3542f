"""The data that open web pages get.

One task reads the gateway for all pages. Each page takes the changes that it does not have yet, at its own pace.

No data waits in a queue for a page. A page that reads slowly gets the newest state next time. The server cuts off a page that does not
read at all. While no page is open, the table is still updated every two seconds, but nothing is sent.

Events: `latest` (the schema Latest) first; then `changes` (Changes), at most four per second, and `status` (Status) about every second.
While nothing happens, a comment shows that the connection lives.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import anyio.to_thread

from iiot_gateway.api.problem import Problem
from iiot_gateway.log import LIVE_UNAVAILABLE, Repeated, get_log
from iiot_gateway.pipeline.verdict import verdict
from iiot_gateway.pipeline.views import Views

LOOK_S = 0.25
IDLE_LOOK_S = 2.0
STATUS_S = 1.0
STATUS_AGE_S = 0.9
"""All requests within this time get the same status document, because making one reads the journal."""
STATUS_SHARE = 20
"""If a status takes long to make (because a long backlog is counted), the next one is made after this many times that duration."""
LONGEST_STATUS_S = 5.0
"""The next status is made after this time (s) at the latest, so that pages do not show an old one."""
SILENCE_S = 2.0
"""After this time (s) without an event, a page gets a comment. The page takes a connection that says nothing for seven seconds for dead."""
COMMENT = b":\n\n"


class Feed:
    """The live values and the status, for any number of readers."""

    def __init__(self, views: Views, max_pages: int) -> None:
        self.pages = 0
        self._views = views
        self._max_pages = max_pages
        # Sinks use the threads of the common pool; requests of pages must not take these threads.
        self.threads = anyio.CapacityLimiter(4)
        # Reading the history may take seconds; status and live values must not wait for that.
        self.history_threads = anyio.CapacityLimiter(2)
        self._status_lock = anyio.Lock()
        self._status: dict[str, Any] = {}
        self._status_made_s = float("-inf")
        self._status_takes_s = 0.0
        self._status_number = 0
        self._told_number = 0
        """The number of the last status that pages were told of."""
        self._status_event = b""
        self._version = 0
        self._latest = (0, b"")
        self._changes = (0, 0, b"")
        self._moved = anyio.Event()
        self._opened = anyio.Event()

    async def run(self) -> None:
        """Update the data again and again, until cancelled."""
        repeated = Repeated()
        while True:
            try:
                await self._look()
            except Exception as error:
                if (extra := repeated.allows(str(error))) is not None:
                    get_log().warning(LIVE_UNAVAILABLE, error=str(error) or repr(error), **extra)
            if self.pages:
                await anyio.sleep(LOOK_S)
            else:
                with anyio.move_on_after(IDLE_LOOK_S):
                    await self._opened.wait()

    async def _look(self) -> None:
        live = self._views.live
        moved = False
        if live is not None:
            version = await anyio.to_thread.run_sync(live.follow, limiter=self.threads)
            moved, before, self._version = version != self._version, self._version, version
            if moved and self.pages:
                self._changes = (before, version, await anyio.to_thread.run_sync(live.changes, before, limiter=self.threads))
        next_status_s = max(STATUS_S, min(STATUS_SHARE * self._status_takes_s, LONGEST_STATUS_S))
        if self.pages and time.monotonic() - self._status_made_s >= next_status_s:
            await self.status()
        # The newest status may also have been made for another request.
        if moved or self._told_number != self._status_number:
            self._told_number = self._status_number
            self._moved.set()
            self._moved = anyio.Event()

    async def status(self) -> dict[str, Any]:
        """Return the status document with the verdict; at most a second old."""
        async with self._status_lock:
            began_s = time.monotonic()
            if began_s - self._status_made_s >= STATUS_AGE_S:
                document = await anyio.to_thread.run_sync(self._views.status.document, limiter=self.threads)
                now_s = time.time()
                self._status = {**document, "verdict": verdict(document, now_s), "now_ms": int(now_s * 1000)}
                self._status_event = _event("status", json.dumps(self._status, separators=(",", ":")).encode())
                self._status_made_s = time.monotonic()
                self._status_takes_s = self._status_made_s - began_s
                self._status_number += 1
            return self._status

    async def latest(self) -> bytes:
        """Return the newest value of every series."""
        live = self._views.live
        if live is None:
            raise Problem(503, "no_live_values", "the live values are not available", "start the gateway with `run`")
        version = await anyio.to_thread.run_sync(live.follow, limiter=self.threads)
        if self._latest[0] != version:
            self._latest = (version, await anyio.to_thread.run_sync(live.latest, limiter=self.threads))
        return self._latest[1]

    def open_page(self) -> None:
        """Count a page that was opened. Raises Problem if there are too many pages."""
        if self.pages >= self._max_pages:
            raise Problem(
                503,
                "too_many_pages",
                f"{self.pages} pages are open already",
                "close some, or raise http.max_pages",
                {"retry-after": "10"},
            )
        self.pages += 1
        self._opened.set()

    def close_page(self) -> None:
        """Count a page that was closed."""
        self.pages -= 1
        if not self.pages:
            self._opened = anyio.Event()

    async def events(self) -> AsyncGenerator[bytes]:
        """Yield server-sent events for one page, without an end."""
        latest = await self.latest()
        version, status_number = self._latest[0], 0
        yield _event("latest", latest)
        # While other pages are open, there is a recent status. Making another may take long, and this page would hear nothing meanwhile.
        if time.monotonic() - self._status_made_s >= LONGEST_STATUS_S:
            await self.status()
        while True:
            moved = self._moved
            if status_number != self._status_number:
                status_number = self._status_number
                yield self._status_event
            if version < self._version:
                # Changes that arrive while this page reads are part of its next event.
                shown, version = version, self._version
                yield _event("changes", await self._changes_since(shown))
            with anyio.move_on_after(SILENCE_S) as waiting:
                await moved.wait()
            if waiting.cancelled_caught:
                yield COMMENT

    async def _changes_since(self, version: int) -> bytes:
        before, now, changes = self._changes
        if before == version and now == self._version:
            return changes
        live = self._views.live
        return b"{}" if live is None else await anyio.to_thread.run_sync(live.changes, version, limiter=self.threads)


def _event(name: str, data: bytes) -> bytes:
    """Write one event; JSON without line feeds is one line of data."""
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"
