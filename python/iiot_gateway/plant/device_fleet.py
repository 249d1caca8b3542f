"""Devices that do not exist: each lives in a thread of its own, and one ledger counts what they sent."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from iiot_gateway.errors import GatewayError, SettingUnusable
from iiot_gateway.plant.device import DeviceLedger, Reading, readings
from iiot_gateway.plant.posting import Door, post_all, register
from iiot_gateway.plant.publishing import publish_all

STEP_S = 0.2
JOIN_S = 25.0


class Member:
    """A device: who it is, when it speaks next, and whether it is to end."""

    def __init__(
        self, device_id: str, number: int, *, ledger: DeviceLedger, seed: int, interval_s: float, count: int | None, over: threading.Event
    ) -> None:
        self.id = device_id
        self.number = number
        self.key = ""
        self.ledger = ledger
        self.trouble = ""
        """What went wrong last; empty while nothing has."""
        self._readings = readings(device_id, seed)
        self._interval_s = interval_s
        self._count = count
        self._over = over
        # As an ESP32 after its start: a number that it has never used before, and a counter.
        self._start = secrets.token_hex(4)
        self._messages = 0
        self._last_ms = 0

    def due(self) -> Iterator[Reading]:
        """Give what is to be sent, each when it is time, until the device is to end or has sent so many."""
        next_s = time.monotonic() + self._interval_s * (self.number % 7) / 7
        sent = 0
        while not self.is_over() and (self._count is None or sent < self._count):
            self.pause(next_s - time.monotonic())
            if self.is_over():
                return
            yield next(self._readings)
            sent += 1
            # Nothing is made up for: a device that was held up goes on from now.
            next_s = max(next_s + self._interval_s, time.monotonic() - self._interval_s)

    def now_ms(self) -> int:
        """Return the time, Unix milliseconds; each is later than the one before."""
        self._last_ms = max(self._last_ms + 1, time.time_ns() // 1_000_000)
        return self._last_ms

    def message_id(self) -> str:
        """Return an id that the device has never used."""
        self._messages += 1
        return f"{self._start}-{self._messages}"

    def is_over(self) -> bool:
        """Tell whether the device is to end."""
        return self._over.is_set()

    def pause(self, seconds: float) -> None:
        """Wait, unless the device is to end first."""
        if seconds > 0:
            self._over.wait(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyBook:
    """The keys of devices."""

    registration_key: str = ""
    """By which devices register; empty where registration is open."""
    known: Mapping[str, str] = field(default_factory=dict)
    """By device, of those that are registered."""
    learned: Callable[[str, str], None] = lambda _id, _key: None
    """Gets id and key of each device that registers."""


class DeviceFleet:
    """Devices that send over HTTP, or over MQTT where a broker is named. Blocks; `end` ends it."""

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
        ledger: DeviceLedger | None = None,
    ) -> None:
        """Devices whose keys are not known register over HTTP.

        `broker` are the keywords of a connection. `rate_per_s` is of all devices together, None for as fast as they
        can. Raises SettingUnusable.
        """
        self.ledger = ledger or DeviceLedger()
        self._over = threading.Event()
        self._door = door
        self._broker = broker
        self._keys = keys
        self._lock = threading.Lock()
        self._faults: list[str] = []
        ids = list(keys.known)[:devices]
        if len(ids) < devices and self._door is None:
            raise SettingUnusable(f"--keys-file names {len(ids)} devices of {devices}: name --http too, and the others register themselves")
        # Another run is another set of devices: their keys are known to nobody else.
        batch = secrets.token_hex(2)
        ids += [f"sim-{batch}-{number}" for number in range(1, devices - len(ids) + 1)]
        interval_s = 0.0 if rate_per_s is None else devices / rate_per_s
        self.members = [
            Member(
                device_id,
                number,
                ledger=self.ledger,
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
        """Let the devices live until they have sent so many, or `end` is called; then wait for their last answers."""
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
        """Let the devices end; may be called from any thread."""
        self._over.set()

    def troubles(self) -> Sequence[str]:
        """Return what kept devices from sending, and what is still in the way of answers."""
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
