"""How much arrives over a bad channel: the small sample with the firmware itself, beside the million frames of `link_table`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
from nodes import GATEWAY, Port, Simulate, readings

from iiot_gateway.devices.air import AirPlan
from iiot_gateway.devices.simulation import Simulation

pytestmark = [pytest.mark.slow]

NODES = (1, 3)
READINGS = 8
SAMPLES = [(0.0, False), (0.05, False), (0.2, False), (0.4, False), (0.2, True)] if "IIOT_LONG" in os.environ else [(0.2, False)]
"""IIOT_LONG=1 runs all of them, some minutes."""
BAND_SHARE = 0.1
"""Of the time, in the sub-band that the nodes use."""


@pytest.mark.parametrize(("loss", "bursts"), SAMPLES)
def test_every_reading_arrives_once(*, loss: float, bursts: bool, simulate: Simulate, listen: Callable[[Simulation], Port]) -> None:
    """Of each node every number up to the last one that is awaited comes, and none twice; nobody sends more than his share.

    Nodes measure every three seconds and in step: both raise the share of the time that they send, and collisions.
    """
    began_s = time.monotonic()
    simulation = simulate(sensors=NODES, interval_s=3, air=AirPlan(loss=loss, bursts=bursts, seed=round(loss * 100) + bursts))
    port = listen(simulation)

    def complete(lines: list[bytes]) -> bool:
        return all({*range(1, READINGS + 1)} <= {reading["seq"] for reading in readings(lines, node)} for node in NODES)

    port.until(complete, f"all of {READINGS} readings of each node", 500)

    counters, seconds = simulation.air.counters, time.monotonic() - began_s
    found = [(node, reading["boot"], reading["seq"]) for node in NODES for reading in readings(port.lines, node)]
    shares = {address: airtime_s / seconds for address, airtime_s in counters.airtime_s.items()}
    frames = counters.sent / len(found)
    print(
        f"loss {loss:.0%}{' in bursts' if bursts else ''}: {len(found)} readings, {frames:.2f} frames a reading, {counters.lost} lost, "
        f"{counters.collided} collided, busiest radio {max(shares.values()):.1%} of {seconds:.0f} s (gateway {shares[GATEWAY]:.1%})"
    )
    assert len(set(found)) == len(found)
    assert max(shares.values()) < BAND_SHARE
