"""Serves a side connection to a broker: connects again and again, and passes messages to its receiver."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from iiot_gateway.backoff import Backoff
from iiot_gateway.log import Log, Repeated

if TYPE_CHECKING:
    from iiot_gateway._native import SideConnection

RECEIVE_S = 0.5

Messages = list[tuple[str, bytes, bool]]
"""(topic, payload, came as retained)."""
Refused = list[tuple[str, str, int]]
"""(topic, reason, number) of publishes that the broker refused."""


async def serve_side(side: SideConnection, take: Callable[[int, Messages, Refused], None], log: Log, disconnected: str) -> None:
    """Serve until cancelled.

    `take` gets the number of the connection (0 if there is none) at least twice per second. `disconnected` is the event for a lost one.
    """
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_connect, side, log, disconnected)
            tasks.start_soon(_fetch, side, take)
            tasks.start_soon(_stop_when_cancelled, side)
    finally:
        side.stop()


async def _stop_when_cancelled(side: SideConnection) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        # This is the only way to end the two threads.
        side.stop()


async def _connect(side: SideConnection, log: Log, disconnected: str) -> None:
    # A message without a subscriber is lost, so retries come soon. The first ones come at once: the built-in broker is starting too.
    backoff, thread, repeated = Backoff(first_s=0.1, ceiling_s=10.0), anyio.CapacityLimiter(1), Repeated()
    while True:
        ended = await anyio.to_thread.run_sync(side.run_connection, limiter=thread)
        if ended["kind"] == "stopped":
            return
        if (extra := repeated.allows(ended["kind"])) is not None:
            log.warning(disconnected, kind=ended["kind"], detail=ended["detail"], **extra)
        await anyio.sleep(backoff.next_delay_s(ended["connected_s"]))


async def _fetch(side: SideConnection, take: Callable[[int, Messages, Refused], None]) -> None:
    connection, thread = 0, anyio.CapacityLimiter(1)
    while True:
        connection, messages, refused = await anyio.to_thread.run_sync(side.receive, connection, RECEIVE_S, limiter=thread)
        take(connection, messages, refused)
