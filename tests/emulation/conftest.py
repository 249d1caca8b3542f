"""Fixtures of the emulation: the nodes' firmware in QEMU, and a gateway process beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from nodes import FIRMWARE, GATEWAY, KEY, Port, Simulate, require

from gateways import Gateway
from iiot_gateway.devices.air import AirPlan
from iiot_gateway.devices.board import NodePlan
from iiot_gateway.devices.simulation import Simulation
from servers import Mosquitto
from subscribers import Subscriber


@pytest.fixture
def simulate(tmp_path: Path) -> Iterator[Simulate]:
    """Return a function that starts the gateway node and sensor nodes in one air; `strangers` are sensor nodes in regions of their own."""
    require()
    running: list[Simulation] = []

    def start(
        *,
        sensors: tuple[int, ...] = (1,),
        strangers: dict[int, str] | None = None,
        region: str = "eu868",
        interval_s: int = 1,
        air: AirPlan | None = None,
        powered: bool = True,
        **more: Any,
    ) -> Simulation:
        gateway = NodePlan(firmware=FIRMWARE / "node2-firmware", address=GATEWAY, seed=2, region=region, distance_m=0.0, powered=powered)
        regions = dict.fromkeys(sensors, region) | (strangers or {})
        nodes = [
            NodePlan(
                firmware=FIRMWARE / "node1-firmware",
                address=address,
                interval_s=interval_s,
                seed=address,
                key=KEY,
                region=where,
                **more,
            )
            for address, where in regions.items()
        ]
        simulation = Simulation(tmp_path / "nodes", [gateway, *nodes], air)
        simulation.__enter__()
        running.append(simulation)
        return simulation

    yield start
    for simulation in running:
        simulation.__exit__()


@pytest.fixture
def listen() -> Iterator[Callable[[Simulation], Port]]:
    """Return a function that opens the gateway node's port."""
    opened: list[Port] = []

    def start(simulation: Simulation) -> Port:
        opened.append(Port(simulation.boards[GATEWAY].port))
        return opened[-1]

    yield start
    for port in opened:
        port.close()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway in a folder of its own; ended after the test."""
    it = Gateway(tmp_path / "gateway")
    yield it
    it.end()


@pytest.fixture
def subscriber(mosquitto: Mosquitto) -> Iterator[Subscriber]:
    """Somebody who watches all topics."""
    it = Subscriber(mosquitto.port, "iiot/#").start()
    yield it
    it.stop()
