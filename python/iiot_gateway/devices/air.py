"""The air between radio modules: time on air, distance, loss, bursts, collisions, repeats and damage.

A frame is lost where its receiver was sending itself, where another frame met it (no capture), or by the dice; the module's own checksum
hides damage almost always, so `corruption` is what it lets through.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

BURST_S = 20.0
"""Mean length of the bad state."""
BAD_LOSS = 0.95


@dataclass(frozen=True, slots=True)
class Modulation:
    """Spreading factor, the module's code of the bandwidth (7: 125, 8: 250, 9: 500 kHz), coding rate, preamble in symbols."""

    spreading_factor: int = 9
    bandwidth: int = 7
    coding_rate: int = 1
    preamble: int = 12

    def airtime_s(self, data_bytes: int) -> float:
        """Return the time on air of a frame; the module adds eight bytes."""
        factor = self.spreading_factor
        symbol_s = (1 << factor) / (125_000 << self.bandwidth - 7)
        slow = 2 if symbol_s > 0.016 else 0
        blocks = max(0, math.ceil((8 * (data_bytes + 8) - 4 * factor + 44) / (4 * (factor - slow))))
        return (self.preamble + 4.25 + 8 + blocks * (self.coding_rate + 4)) * symbol_s


@dataclass(frozen=True, slots=True)
class AirPlan:
    """The effects of the air on frames; shares from 0 to 1, in each direction."""

    loss: float = 0.0
    bursts: bool = False
    duplication: float = 0.0
    corruption: float = 0.0
    seed: int = 1


class Station(Protocol):
    """A radio in the air."""

    distance_m: float

    @property
    def channel(self) -> tuple[object, ...]:
        """The properties that two radios must share for their frames to meet in the air."""

    @property
    def network_id(self) -> int:
        """Who hears frames of whom, among those on one channel."""

    @property
    def address(self) -> int:
        """The address of the radio."""

    def receive(self, sender: int, data: bytes, rssi_dbm: int, snr_db: int) -> None:
        """Take a frame."""


class Clock(Protocol):
    """A clock that can call back later, such as an event loop."""

    def time(self) -> float:
        """Return the seconds since a fixed moment."""

    def call_at(self, when: float, callback: Callable[..., object], *args: object) -> object:
        """Call back at that time."""


@dataclass(slots=True, eq=False)
class Flight:
    """A frame on air."""

    sender: Station
    to: int
    data: bytes
    began_s: float
    ends_s: float


@dataclass(slots=True)
class Path:
    """One direction between two radios, by the model of Gilbert and Elliott."""

    bad: bool = False
    until_s: float = 0.0


@dataclass
class AirCounters:
    """The outcomes of frames."""

    sent: int = 0
    arrived: int = 0
    lost: int = 0
    collided: int = 0
    doubled: int = 0
    damaged: int = 0
    airtime_s: dict[int, float] = field(default_factory=dict)
    """The counts by address, since the start."""


def signal(distance_m: float) -> tuple[int, int]:
    """Return RSSI in dBm and SNR in dB, fitted to a range test: -82 and 11 at 100 m, -100 and -2 at 400 m, -107 and -6 at 600 m."""
    rssi = -82 - 32 * math.log10(max(distance_m, 1.0) / 100)
    snr = 11 + 0.69 * (rssi + 82)
    return round(min(-20.0, rssi)), round(max(-20.0, min(13.0, snr)))


class Air:
    """All radios of a simulation."""

    def __init__(self, plan: AirPlan, clock: Clock) -> None:
        self.plan = plan
        self.counters = AirCounters()
        self.stations: list[Station] = []
        self._clock = clock
        self._dice = random.Random(plan.seed)  # noqa: S311 - the air is not a secret
        self._flights: list[Flight] = []
        self._paths: dict[tuple[int, int], Path] = {}

    def send(self, sender: Station, to: int, data: bytes, airtime_s: float) -> None:
        """Put a frame on air. Each radio that hears it gets it when it ends."""
        now_s = self._clock.time()
        self._flights = [flight for flight in self._flights if flight.ends_s > now_s - 10]
        flight = Flight(sender, to, data, now_s, now_s + airtime_s)
        self._flights.append(flight)
        self.counters.sent += 1
        self.counters.airtime_s[sender.address] = self.counters.airtime_s.get(sender.address, 0.0) + airtime_s
        self._clock.call_at(flight.ends_s, self._land, flight)

    def _land(self, flight: Flight) -> None:
        sender = flight.sender
        for station in self.stations:
            is_heard = station.channel == sender.channel and station.network_id == sender.network_id
            if station is not sender and is_heard and flight.to in (0, station.address):
                self._arrive(flight, station)

    def _arrive(self, flight: Flight, station: Station) -> None:
        if any(
            other is not flight and other.began_s < flight.ends_s and other.ends_s > flight.began_s
            for other in self._flights
            if other.sender.channel == station.channel
        ):
            self.counters.collided += 1
            return
        if self._is_lost(flight.sender.address, station.address):
            self.counters.lost += 1
            return
        copies = 1
        if self._dice.random() < self.plan.duplication:
            copies = 2
            self.counters.doubled += 1
        for _ in range(copies):
            data = flight.data
            if self._dice.random() < self.plan.corruption:
                data = self._damaged(data)
                self.counters.damaged += 1
            self.counters.arrived += 1
            rssi_dbm, snr_db = signal(abs(flight.sender.distance_m - station.distance_m))
            station.receive(flight.sender.address, data, rssi_dbm, snr_db)

    def _is_lost(self, sender: int, receiver: int) -> bool:
        if not self.plan.bursts or not self.plan.loss:
            return self._dice.random() < self.plan.loss
        path = self._paths.setdefault((sender, receiver), Path())
        good = self.plan.loss / 4
        share = (self.plan.loss - good) / (BAD_LOSS - good)
        now_s = self._clock.time()
        path.until_s = path.until_s or now_s
        while path.until_s <= now_s:
            path.bad = not path.bad
            path.until_s += self._dice.expovariate(1 / (BURST_S if path.bad else BURST_S * (1 - share) / share))
        return self._dice.random() < (BAD_LOSS if path.bad else good)

    def _damaged(self, data: bytes) -> bytes:
        """Flip up to three bits: kinds of damage that the packet's checksum always finds."""
        damaged = bytearray(data)
        for bit in self._dice.sample(range(8 * len(data)), self._dice.randint(1, 3)):
            damaged[bit // 8] ^= 1 << bit % 8
        return bytes(damaged)
