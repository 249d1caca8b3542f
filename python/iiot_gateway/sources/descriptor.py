"""Reads a file descriptor on a thread of its own, so that a chunk reaches the journal without the event loop."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import anyio
import anyio.lowlevel
import anyio.to_thread

from iiot_gateway.sources.base import Intake, Listener

CHUNK_BYTES = 65536


async def read_descriptor(descriptor: int, intake: Intake, listener: Listener | None = None) -> bytes:
    """Push all bytes until the other end hangs up. Return the last bytes. Raises OSError when the device is gone.

    After a cancellation, this returns once the present chunk is taken, so that no bytes that were read are lost.
    """
    tail, gone = b"", None
    stopped, stop = os.pipe()
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_close_when_cancelled, stop)
            # The source uses this thread as long as it listens, so the thread is not one of the pool.
            limiter = anyio.CapacityLimiter(1)
            try:
                tail = await anyio.to_thread.run_sync(partial(intake.read, descriptor, stopped, listener), limiter=limiter)
            except OSError as error:
                gone = error  # raised outside the group, which would wrap it
            # The thread also returns normally after a cancellation, so the cancellation is raised here.
            await anyio.lowlevel.checkpoint_if_cancelled()
            tasks.cancel_scope.cancel()
    finally:
        os.close(stopped)
    if gone is not None:
        raise gone
    return tail


async def _close_when_cancelled(stop: int) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        os.close(stop)


def read_chunks(descriptor: int, stop: int, take: Callable[[bytes], None]) -> None:
    """Call `take` with every chunk until the other end of either descriptor hangs up. For intakes that are not the extension's."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    poll.register(stop, select.POLLIN)
    while True:
        ready = [number for number, _events in poll.poll()]
        if descriptor in ready:
            with suppress(BlockingIOError):  # another reader of the port has taken the bytes
                chunk = os.read(descriptor, CHUNK_BYTES)
                if not chunk:  # readable without bytes: the other end hung up
                    return
                take(chunk)
        if stop in ready:
            return
