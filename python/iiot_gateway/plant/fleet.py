"""Machines at a broker: each has its own connection, which is made again after it breaks; one tally counts what they published."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from iiot_gateway import _native
from iiot_gateway.errors import SettingUnusable
from iiot_gateway.plant.machine import Clock, Machine, Tally

COMMANDS = "factory/dosing/commands"
"""The topics to which the machines subscribe."""
RETRY_S = 1.0
LAST_WORDS_S = 10.0
TICK_S = 0.02
ROOM_S = 0.05


class Fleet:
    """Publishes the messages of the machines at their times. Blocks; Ctrl-C ends it."""

    def __init__(self, broker: dict[str, Any], *, devices: int, seed: int, clock: Clock, pace: float) -> None:
        self.tally = Tally()
        self._start_s = time.time()
        self._names = [f"esp32-{number:02d}" for number in range(1, devices + 1)]
        self._machines = [Machine(name, seed=seed, clock=clock, start_unix_s=self._start_s, pace=pace).messages() for name in self._names]
        try:
            self._sides = [_native.SideConnection(client_id=name, subscriptions=[COMMANDS], **broker) for name in self._names]
        except _native.MqttError as error:
            raise SettingUnusable(str(error)) from error
        self._ended = threading.Event()
        self.left = 0
        """Messages that the broker had not acknowledged at the end; the tally counts them too."""
        self.error = ""
        """The reason why the last connection ended; empty if none has ended."""

    def run(self, *, count: int | None = None, stop: Callable[[], bool] = lambda: False) -> None:
        """Publish until `stop` returns true, or all messages are published; then wait until the broker has them."""
        threads = [threading.Thread(target=self._connect, args=(side,), daemon=True) for side in self._sides]
        for thread in threads:
            thread.start()
        try:
            self._publish(count, stop)
            # The last message may be handed over before the first connection is made.
            until_s = time.monotonic() + LAST_WORDS_S
            while any(side.waiting() for side in self._sides) and time.monotonic() < until_s:
                time.sleep(TICK_S)
        finally:
            self._ended.set()
            for side in self._sides:
                side.stop(LAST_WORDS_S)
            for thread in threads:
                thread.join(LAST_WORDS_S + 1)
            self.left = sum(side.waiting() for side in self._sides)

    def _publish(self, count: int | None, stop: Callable[[], bool]) -> None:
        # The number orders machines whose messages have the same time, so that the messages themselves are not compared.
        waiting = [(next(messages), number) for number, messages in enumerate(self._machines)]
        line = [(message.at_s, number, message) for message, number in waiting]
        heapq.heapify(line)
        while not stop() and (count is None or sum(self.tally.messages.values()) < count):
            at_s, number, message = line[0]
            wait_s = self._start_s + at_s - time.time()
            if wait_s > 0:
                time.sleep(min(wait_s, TICK_S))
                continue
            if not self._sides[number].publish(message.topic, message.payload(), retain=False):
                time.sleep(ROOM_S)  # the broker is away: the machine keeps its next messages, as a real one would
                continue
            self.tally.add(message)
            following = next(self._machines[number])
            heapq.heapreplace(line, (following.at_s, number, following))

    def _connect(self, side: _native.SideConnection) -> None:
        while not self._ended.is_set():
            ended = side.run_connection()
            if ended["kind"] == "stopped":
                return
            self.error = f"{ended['kind']}: {ended['detail']}"
            self._ended.wait(RETRY_S)

    def names(self) -> Sequence[str]:
        """Return the device ids."""
        return self._names
