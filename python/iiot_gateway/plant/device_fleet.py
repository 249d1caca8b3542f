"""Simulated devices: each runs in its own thread, and one tally counts what they all sent."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from iiot_gateway.errors import GatewayError, SettingUnusable
from iiot_gateway.plant.device import DeviceTally, Reading, readings
from iiot_gateway.plant.posting import Door, post_all, register
from iiot_gateway.plant.publishing import publish_all

STEP_S = 0.2
JOIN_S = 25.0


class Member:
    """A device: its identity, the time of its next message, and whether it is to end."""

    def __init__(
        self, device_id: str, number: int, *, tally: DeviceTally, seed: int, interval_s: float, count: int | None, over: threading.Event
    ) -> None:
        self.id = device_id
        self.number = number
        self.key = ""
        self.tally = tally
        self.trouble = ""
        """The last error; empty if there was none."""
        self._readings = readings(device_id, seed)
        self._interval_s = interval_s
        self._count = count
        self._over = over
        # Like an ESP32 after its start: a number that it has never used before, and a counter.
        self._start = secrets.token_hex(4)
        self._messages = 0
        self._last_ms = 0

    def due(self) -> Iterator[Reading]:
        """Yield each message when it is due, until the device must end or has sent all its messages."""
        next_s = time.monotonic() + self._interval_s * (self.number % 7) / 7
        sent = 0
        while not self.is_over() and (self._count is None or sent < self._count):
            self.pause(next_s - time.monotonic())
            if self.is_over():
                return
            yield next(self._readings)
            sent += 1
            # A device that was delayed does not catch up: it continues from now.
            next_s = max(next_s + self._interval_s, time.monotonic() - self._interval_s)

    def now_ms(self) -> int:
        """Return the time in Unix milliseconds; each call returns a later time."""
        self._last_ms = max(self._last_ms + 1, time.time_ns() // 1_000_000)
        return self._last_ms

    def message_id(self) -> str:
        """Return an id that the device has never used."""
        self._messages += 1
        return f"{self._start}-{self._messages}"

    def is_over(self) -> bool:
        """Return whether the device must end."""
        return self._over.is_set()

    def pause(self, seconds: float) -> None:
        """Wait, unless the device is to end first."""
        if seconds > 0:
            self._over.wait(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyBook:
    """The keys with which devices register and send."""

    registration_key: str = ""
    """The key with which devices register; empty if registration is open."""
    known: Mapping[str, str] = field(default_factory=dict)
    """The keys of the registered devices, by device id."""
    learned: Callable[[str, str], None] = lambda _id, _key: None
    """Called with the id and key of each device that registers."""


class DeviceFleet:
    """Devices that send over HTTP, or over MQTT if a broker is named. Blocks; `end` ends it."""

    def __init__(
        self,
        *,
        door: Door | None = None,
        broker: Mapping[str, Any] | None = None,
        devices: int,
        rate_per_s: float | None,
        seed: int,
        count: int | None = None,
        keys: KeyBook,
        tally: DeviceTally | None = None,
    ) -> None:
        """Prepare the devices. A device without a known key will register over HTTP.

        `broker` holds the keyword arguments of a connection. `rate_per_s` is the rate of all devices together; None means as fast as
        possible. Raises SettingUnusable.
        """
        self.tally = tally or DeviceTally()
        self._over = threading.Event()
        self._door = door
        self._broker = broker
        self._keys = keys
        self._lock = threading.Lock()
        self._faults: list[str] = []
        ids = list(keys.known)[:devices]
        if len(ids) < devices and self._door is None:
            raise SettingUnusable(f"--keys-file names {len(ids)} devices of {devices}: name --http too, and the others register themselves")
        # Each run has its own set of devices, because nobody else knows the keys of another run.
        batch = secrets.token_hex(2)
        ids += [f"sim-{batch}-{number}" for number in range(1, devices - len(ids) + 1)]
        interval_s = 0.0 if rate_per_s is None else devices / rate_per_s
        self.members = [
            Member(
                device_id,
                number,
                tally=self.tally,
                seed=seed,
                interval_s=interval_s,
                count=None if count is None else count // devices + (number <= count % devices),
                over=self._over,
            )
            for number, device_id in enumerate(ids, 1)
        ]
        for member in self.members:
            member.key = keys.known.get(member.id, "")

    def run(self) -> None:
        """Run the devices until they have sent all their messages or `end` is called; then wait for their last answers."""
        threads = [threading.Thread(target=self._live, args=(member,), daemon=True) for member in self.members]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads):
                self._over.wait(STEP_S)
                if self._over.is_set():
                    break
        finally:
            self._over.set()
            for thread in threads:
                thread.join(JOIN_S)

    def end(self) -> None:
        """Tell the devices to end; may be called from any thread."""
        self._over.set()

    def troubles(self) -> Sequence[str]:
        """Return the errors that kept devices from sending, or that still prevent answers."""
        with self._lock:
            return list(self._faults)

    def _live(self, member: Member) -> None:
        try:
            if not member.key and self._door is not None:
                if not register(self._door, member, self._keys.registration_key):
                    self._note(member.trouble)
                    return
                with self._lock:
                    self._keys.learned(member.id, member.key)
            if self._broker:
                publish_all(self._broker, member)
            elif self._door is not None:
                post_all(self._door, member)
        except (GatewayError, OSError) as error:
            self._note(str(error))
            self.end()

    def _note(self, trouble: str) -> None:
        with self._lock:
            if trouble and trouble not in self._faults:
                self._faults.append(trouble)
