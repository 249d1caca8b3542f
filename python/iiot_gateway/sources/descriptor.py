"""Reading a file descriptor on a thread of its own: a chunk reaches the journal without a turn of the event loop."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import anyio
import anyio.to_thread

CHUNK_BYTES = 65536


async def read_chunks(descriptor: int, take: Callable[[bytes], None]) -> None:
    """Call `take` on the reading thread with every chunk, until the other end hangs up. Raises OSError when the device is gone.

    Cancelling returns once the chunk in hand is taken: nothing that was read is lost.
    """
    stopped, stop = os.pipe()
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_close_when_cancelled, stop)
            # The thread is this source's for as long as it listens, so it takes none of the pool's places.
            limiter = anyio.CapacityLimiter(1)
            await anyio.to_thread.run_sync(partial(_read, descriptor, stopped, take), limiter=limiter)
            tasks.cancel_scope.cancel()
    finally:
        os.close(stopped)


async def _close_when_cancelled(stop: int) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        os.close(stop)


def _read(descriptor: int, stopped: int, take: Callable[[bytes], None]) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    poll.register(stopped, select.POLLIN)
    while True:
        ready = [number for number, _events in poll.poll()]
        if descriptor in ready:
            with suppress(BlockingIOError):  # another reader of the port was faster
                chunk = os.read(descriptor, CHUNK_BYTES)
                if not chunk:  # readable without bytes: the other end hung up
                    return
                take(chunk)
        if stopped in ready:
            return
