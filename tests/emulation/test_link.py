"""The nodes' firmware over a bad channel and with bad peers: no hang, no false reading, nothing doubled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from nodes import GATEWAY, Port, Simulate, documents, readings

from iiot_gateway.devices.air import AirPlan
from iiot_gateway.devices.simulation import Simulation

pytestmark = [pytest.mark.slow]

Listen = Callable[[Simulation], Port]
AT_START = 27.6


def assert_once(found: list[dict[str, Any]]) -> None:
    """No reading came twice."""
    numbers = [(reading["boot"], reading["seq"]) for reading in found]
    assert len(set(numbers)) == len(numbers)


def test_readings_that_waited_come_with_their_age(simulate: Simulate, listen: Listen) -> None:
    """While the gateway's module is dead the node keeps its readings; afterwards each says how long it waited."""
    simulation = simulate()
    port = listen(simulation)
    port.until(lambda lines: len(readings(lines, 1)) >= 2, "two readings")
    module = simulation.boards[GATEWAY].radio

    module.mute = True
    frames = len(simulation.boards[1].radio.frames)
    port.until(lambda _: len(simulation.boards[1].radio.frames) > frames + 6, "frames that nobody hears")
    module.mute = False
    port.until(lambda lines: any(reading["age"] > 2000 for reading in readings(lines, 1)), "a late reading")

    late = [document for document in documents(port.lines) if "age" in document]
    assert all(set(document) == {"ts", "id", "age", "n1"} for document in late)
    assert_once(readings(port.lines, 1))


def test_three_nodes_at_once_over_a_bad_channel(simulate: Simulate, listen: Listen) -> None:
    """A fifth of all frames lost each way, repeats and damage: each node arrives under its name, once, as its sensor gave it."""
    simulation = simulate(sensors=(1, 3, 4), interval_s=2, air=AirPlan(loss=0.2, duplication=0.05, corruption=0.05, seed=4))
    for address in (1, 3, 4):
        simulation.boards[address].chips.sht31.temperature = 10.0 * address
    port = listen(simulation)

    port.until(lambda lines: all(len(readings(lines, node)) >= 6 for node in (1, 3, 4)), "six readings of each node", 120)

    for node in (1, 3, 4):
        found = readings(port.lines, node)
        assert_once(found)
        others = [reading["t"] for reading in found if reading["t"] != 10.0 * node]
        # A node that starts quickly has read its sensor once before it was set.
        assert others in ([], [AT_START])
    counters = simulation.air.counters
    assert counters.lost
    assert counters.sent > counters.arrived


def test_a_sensor_fault_is_a_missing_value_and_a_status(simulate: Simulate, listen: Listen) -> None:
    """The BME680 stands in for a damaged SHT31; without both there is no number at all; then everything is well again."""
    simulation = simulate()
    chips = simulation.boards[1].chips
    port = listen(simulation)
    port.until(lambda lines: any(reading["st"] == 0 for reading in readings(lines, 1)), "a good reading")

    chips.sht31.damaged = True
    port.until(lambda lines: readings(lines, 1)[-1]["st"] & 2 != 0, "a damaged sensor")
    assert readings(port.lines, 1)[-1]["st"] & 0b10_0010 == 0b10_0010
    assert readings(port.lines, 1)[-1]["t"] != 27.6

    chips.sht31.there = chips.bme680.there = False
    port.until(lambda lines: readings(lines, 1)[-1]["st"] & 5 == 5, "silent sensors")
    assert not {"t", "h", "g", "p"} & set(readings(port.lines, 1)[-1])

    chips.sht31.there = chips.bme680.there = True
    chips.sht31.damaged = False
    port.until(lambda lines: readings(lines, 1)[-1]["st"] == 0, "a good reading again")
    assert readings(port.lines, 1)[-1]["t"] == 27.6


def test_a_flood_of_noise_brings_no_false_reading(simulate: Simulate, listen: Listen) -> None:
    """Every byte value, line ends and the module's own words among them, on both radios' UARTs."""
    simulation = simulate()
    port = listen(simulation)
    port.until(lambda lines: len(readings(lines, 1)) >= 1, "a reading")
    noise = bytes(range(256)) * 8 + b"+RCV=1,200,\r\n+RCV=1,5,\0,\r\n\0,-40,9\r\n+ERR=12\r\n+RCV=,,\r\n+OK\r\n" * 20

    for _ in range(5):
        before = len(readings(port.lines, 1))
        simulation.do(lambda: [board.radio.say(noise) for board in simulation.boards.values()])
        port.until(lambda lines, before=before: len(readings(lines, 1)) > before, "a reading after the noise")  # type: ignore[misc]

    found = readings(port.lines, 1)
    assert_once(found)
    assert {reading["t"] for reading in found} == {27.6}


@pytest.mark.parametrize("fault", ["mute", "refusing"])
def test_a_bad_module_hangs_nobody(fault: str, simulate: Simulate, listen: Listen) -> None:
    """A module that answers nothing or `+ERR` is set up again when it is well; the node says that something was wrong."""
    simulation = simulate()
    port = listen(simulation)
    port.until(lambda lines: len(readings(lines, 1)) >= 1, "a reading")
    module = simulation.boards[1].radio

    if fault == "mute":
        module.mute = True
        seen = simulation.boards[1].chips.transfers
        port.until(lambda _: simulation.boards[1].chips.transfers > seen + 600, "measurements without a radio")
        module.mute = False
    else:
        module.refusing = 4
        seen = simulation.boards[1].chips.transfers
        port.until(lambda _: simulation.boards[1].chips.transfers > seen + 600, "measurements without a radio")
        module.refusing = 0
    port.until(lambda lines: any(reading["st"] & 1 << 10 for reading in readings(lines, 1)), "a reading that tells of it", 120)

    assert_once(readings(port.lines, 1))


def test_a_node_that_loses_power_in_the_middle_doubles_nothing(simulate: Simulate, listen: Listen) -> None:
    """It starts with another boot id and says what it is; numbers begin anew."""
    simulation = simulate(air=AirPlan(loss=0.3, seed=9))
    port = listen(simulation)
    board = simulation.boards[1]
    for _ in range(3):
        before = len(readings(port.lines, 1))
        port.until(lambda lines, before=before: len(readings(lines, 1)) >= before + 2, "two readings")  # type: ignore[misc]
        simulation.call(board.power_off())
        board.reseed()
        simulation.call(board.power_on())

    before = len(readings(port.lines, 1))
    port.until(lambda lines: len(readings(lines, 1)) >= before + 2, "two readings")
    assert_once(readings(port.lines, 1))
    boots = {reading["boot"] for reading in readings(port.lines, 1)}
    assert len(boots) == 4
    infos = [document["n1"] for document in documents(port.lines) if "reset" in document.get("n1", {})]
    assert boots <= {info["boot"] for info in infos}
