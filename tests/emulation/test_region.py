"""The nodes' firmware in another region: what its radio is told, what arrives, and who is not heard."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from nodes import GATEWAY, Port, Simulate, readings

from iiot_gateway.devices.air import AirPlan
from iiot_gateway.devices.simulation import Simulation

pytestmark = [pytest.mark.slow]

TRIES = 4
"""Frames of a packet that nobody answers."""
AMERICAN = [b"AT+NETWORKID=18", b"AT+BAND=915000000", b"AT+PARAMETER=9,9,1,12", b"AT+CRFOP=22"]
EUROPEAN = [b"AT+NETWORKID=18", b"AT+BAND=869525000", b"AT+PARAMETER=7,7,1,12", b"AT+CRFOP=14"]


def test_a_pair_in_us915_delivers_and_does_not_hear_eu868(simulate: Simulate, listen: Callable[[Simulation], Port]) -> None:
    """Node 1 shares the gateway node's region and arrives over a bad channel; node 3, left at EU868, sends and is never answered."""
    simulation = simulate(region="us915", strangers={3: "eu868"}, air=AirPlan(loss=0.2, seed=915))
    simulation.boards[1].chips.sht31.temperature = -40.0
    port = listen(simulation)

    port.until(lambda lines: len(readings(lines, 1)) >= 5, "five readings of node 1")
    stranger = simulation.boards[3].radio
    port.until(lambda _: len(stranger.frames) >= TRIES, "all tries of a packet of node 3")

    told = {address: board.radio.commands for address, board in simulation.boards.items()}
    assert told[1] == [b"AT", b"AT+ADDRESS=1", *AMERICAN]
    assert told[GATEWAY] == [b"AT", b"AT+ADDRESS=2", *AMERICAN]
    assert told[3] == [b"AT", b"AT+ADDRESS=3", *EUROPEAN]
    found = readings(port.lines, 1)
    # A node that starts quickly has read its sensor once before it was set.
    assert {reading["t"] for reading in found} - {27.6} == {-40.0}
    assert len({reading["seq"] for reading in found}) == len(found)
    assert not any(b"node3" in line for line in port.lines)
    # One packet, sent again and again: an acknowledgement would have let the next one follow.
    assert len({frame[6:8] for frame in stranger.frames[:TRIES]}) == 1
