"""The simulate source: simulated nodes, whose receiver's log is pushed in the form of probe-rs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import anyio
import anyio.to_thread

from iiot_gateway.log import get_log
from iiot_gateway.sources.base import Intake, SourceStatus
from iiot_gateway.sources.simulate.section import SimulateSection

TICK_S = 0.05
"""All readings within this time come in one chunk."""
MAX_READINGS = 2_000
"""About half a megabyte."""


class Simulator(Protocol):
    """Makes the log of a simulated receiver."""

    @property
    def next_ns(self) -> int:
        """The time of the next reading."""

    def advance(self, until_ns: int | None, /, *, max_readings: int) -> bytes:
        """Return the log up to a time, or with None as far as `max_readings` allows."""


class SimulateSource:
    """Simulates without an end. Each run is a start of all nodes, with boot ids that follow from its time, so no data is a duplicate."""

    kind = "simulate"

    def __init__(self, name: str, section: SimulateSection, intake: Intake, simulator: Callable[..., Simulator]) -> None:
        self.name = name
        self.status = SourceStatus()
        self._section = section
        self._intake = intake
        self._simulator = simulator
        self._log = get_log(source=name)

    async def run(self) -> None:
        """Push the log in real time; without a rate, as fast as there is room."""
        section = self._section
        rate_per_s = section.rate_per_s or None
        simulator = self._simulator(nodes=section.nodes, rate_per_s=rate_per_s, seed=section.seed, start_ns=time.time_ns())
        self.status.change(self._log, "running", f"{section.nodes} simulated nodes")
        try:
            if section.rate_per_s:
                await self._in_time(simulator)
            else:
                await self._at_once(simulator)
        finally:
            self._intake.restart()

    async def _in_time(self, simulator: Simulator) -> None:
        while True:
            wait_s = (simulator.next_ns - time.time_ns()) / 1e9
            await anyio.sleep(max(wait_s, TICK_S))
            while simulator.next_ns < (now_ns := time.time_ns()):
                await anyio.to_thread.run_sync(self._push, simulator, now_ns)

    async def _at_once(self, simulator: Simulator) -> None:
        while True:
            if await anyio.to_thread.run_sync(self._intake.wait_room, 1.0):
                await anyio.to_thread.run_sync(self._push, simulator, None)
                self.status.change(self._log, "running", f"{self._section.nodes} simulated nodes")
            else:
                self.status.change(self._log, "waiting_for_disk", "the journal's disk is full or slow", bad=True)

    def _push(self, simulator: Simulator, until_ns: int | None) -> None:
        chunk = simulator.advance(until_ns, max_readings=MAX_READINGS)
        if chunk:
            self.status.received(len(chunk), self._intake.push(chunk, time.time_ns()))
