"""Reading a file descriptor on a thread of its own: a chunk reaches the journal without a turn of the event loop."""

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
    """Push what comes until the other end hangs up; return the end of it. Raises OSError when the device is gone.

    Cancelling returns once the chunk in hand is taken: nothing that was read is lost.
    """
    tail, gone = b"", None
    stopped, stop = os.pipe()
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_close_when_cancelled, stop)
            # The thread is this source's for as long as it listens, so it takes none of the pool's places.
            limiter = anyio.CapacityLimiter(1)
            try:
                tail = await anyio.to_thread.run_sync(partial(intake.read, descriptor, stopped, listener), limiter=limiter)
            except OSError as error:
                gone = error  # out of the group as it is
            # The thread ends in the same way when it was told to; only here does the cancelling show.
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
    """Call `take` with every chunk until the other end of either hangs up: for an intake that is not the extension's."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    poll.register(stop, select.POLLIN)
    while True:
        ready = [number for number, _events in poll.poll()]
        if descriptor in ready:
            with suppress(BlockingIOError):  # another reader of the port was faster
                chunk = os.read(descriptor, CHUNK_BYTES)
                if not chunk:  # readable without bytes: the other end hung up
                    return
                take(chunk)
        if stop in ready:
            return
