"""An answer without an end: server-sent events, until the other side disconnects."""

from __future__ import annotations

from contextlib import aclosing

import anyio

from iiot_gateway.api.feed import Feed
from iiot_gateway.api.guard import Receive, Scope, Send

EVENTS_TYPE = "text/event-stream; charset=utf-8"
HEADERS = ((b"content-type", EVENTS_TYPE.encode()), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no"))


class EventStream:
    """The response to one page, plain ASGI. The caller has called `open_page` for the page."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the page disconnects. A page that does not read delays no other: the server cuts it off."""
        try:
            async with anyio.create_task_group() as tasks:

                async def watch() -> None:
                    while (await receive())["type"] != "http.disconnect":
                        pass
                    tasks.cancel_scope.cancel()

                tasks.start_soon(watch)
                await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
                async with aclosing(self._feed.events()) as events:
                    async for event in events:
                        await send({"type": "http.response.body", "body": event, "more_body": True})
        finally:
            self._feed.close_page()
