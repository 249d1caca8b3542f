"""Commands from a foreign MQTT client to a node's firmware, and what became of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from nodes import GATEWAY, KEY, Port, Simulate, readings

from gateways import Gateway
from iiot_gateway._native import read_answer, sign_command
from iiot_gateway.devices.simulation import Simulation
from servers import Mosquitto, until
from subscribers import Subscriber

COMMAND, ANSWER = 4, 5
"""Types of packets."""

pytestmark = [pytest.mark.slow, pytest.mark.native]


@pytest.fixture
def running(simulate: Simulate, gateway: Gateway, mosquitto: Mosquitto, subscriber: Subscriber) -> Iterator[Simulation]:
    """A node that has been heard, and a gateway that holds its key."""
    simulation = simulate()
    configure(gateway, simulation, mosquitto, KEY)
    gateway.start("run")
    subscriber.wait(lambda s: len(s.values("iiot/node1/status")) >= 2, "two readings")
    return simulation


def configure(gateway: Gateway, simulation: Simulation, mosquitto: Mosquitto, key: bytes) -> None:
    """Let the gateway take commands."""
    gateway.configure(
        f'[serial]\nport = "{simulation.boards[GATEWAY].port}"\n[mqtt]\nbroker_url = "{mosquitto.url}"\n[downlink]\nkey = "{key.hex()}"'
    )


def ask(subscriber: Subscriber, name: str, value: str, *, node: str = "node1", retain: bool = False) -> dict[str, Any]:
    """Ask for something and return what became of it."""
    topic = f"iiot/{node}/state/{name}"
    before = len(subscriber.messages[topic])
    subscriber.publish(f"iiot/{node}/set/{name}", value, retain=retain)
    subscriber.wait(lambda s: len(s.messages[topic]) > before, topic, 60.0)
    answer: dict[str, Any] = json.loads(subscriber.messages[topic][-1][0])
    return answer


def test_a_node_obeys_and_answers(running: Simulation, subscriber: Subscriber) -> None:
    """Interval, LED and reboot: each is answered with what holds now; after the reboot the node says what it is anew."""
    done = ask(subscriber, "interval_s", "2")
    assert (done["outcome"], done["value"]) == ("done", 2)
    done = ask(subscriber, "led", "on")
    assert (done["outcome"], done["value"]) == ("done", 1)

    starts = len(subscriber.values("iiot/node1/firmware"))
    assert ask(subscriber, "reboot", "")["outcome"] == "done"
    subscriber.wait(lambda s: len(s.values("iiot/node1/firmware")) > starts, "another start", 60.0)
    subscriber.wait(lambda s: s.last("iiot/node1/interval") == "1", "the interval it was built with")
    assert running.boards[1].radio.frames


def test_what_cannot_be_is_refused_with_a_reason(running: Simulation, subscriber: Subscriber) -> None:
    """Unknown names, impossible values, strangers and retained messages never reach the radio."""
    assert ask(subscriber, "colour", "red")["outcome"] == "unknown"
    assert ask(subscriber, "interval_s", "0") == {"outcome": "out_of_range", "reason": "expected a whole number from 1 to 3600"}
    assert ask(subscriber, "led", "on", node="node9") == {"outcome": "refused", "reason": "the node has not been heard yet"}
    assert not [frame for frame in running.boards[GATEWAY].radio.frames if frame[0] & 0x1F == COMMAND]


def command(port: Port, *, key: bytes = KEY, boot: int | None = None, ahead: int = 20, counter: int = 1, led: int = 1) -> bytes:
    """Return a line with a signed command for node 1, bound to what it said last."""
    last = readings(port.lines, 1)[-1]
    payload = sign_command(
        key,
        node=1,
        boot=last["boot"] if boot is None else boot,
        until_seq=(last["seq"] + ahead) & 0xFFFF,
        counter=counter,
        action="led",
        value=led,
    )
    return f"command 1 60 {payload.hex()}\n".encode()


def answered(port: Port, line: bytes) -> tuple[str, int]:
    """Send a command and return outcome and value of its answer."""
    before = len([line for line in port.lines if line.startswith(b"answer 1 ")])
    port.write(line)
    port.until(lambda lines: len([line for line in lines if line.startswith(b"answer 1 ")]) > before, "an answer")
    last = [line for line in port.lines if line.startswith(b"answer 1 ")][-1]
    answer = read_answer(KEY, node=1, payload=bytes.fromhex(last.split()[2].decode()))
    assert answer is not None
    return answer["outcome"], answer["value"]


def test_the_node_refuses_what_is_repeated_expired_or_forged(simulate: Simulate, listen: Callable[[Simulation], Port]) -> None:
    """What somebody recorded on the serial line or in the air is worth nothing, and a guess is none."""
    simulation = simulate()
    port = listen(simulation)
    port.until(lambda lines: len(readings(lines, 1)) >= 2, "two readings")
    good = command(port, counter=7)

    assert answered(port, good) == ("done", 1)
    assert answered(port, good) == ("repeated", 0)
    assert answered(port, command(port, counter=6)) == ("repeated", 0)
    assert answered(port, command(port, counter=8, ahead=-1)) == ("expired", 0)
    assert answered(port, command(port, counter=9, boot=1)) == ("expired", 0)
    assert answered(port, command(port, counter=10, key=bytes(16))) == ("forged", 0)
    assert answered(port, command(port, counter=11, led=0)) == ("done", 0)


def test_lines_without_sense_are_refused_by_the_gateway_node(simulate: Simulate, listen: Callable[[Simulation], Port]) -> None:
    """Each with its reason, and telemetry goes on."""
    port = listen(simulate())
    port.until(lambda lines: len(readings(lines, 1)) >= 1, "a reading")

    port.write(b"comand 1 60 00\ncommand 1 60 00\ncommand 0 60 00\n" + bytes(range(14, 256)) + b"\n")
    port.until(lambda lines: len([line for line in lines if line.startswith(b"refused")]) >= 4, "four refusals")
    before = len(readings(port.lines, 1))
    port.until(lambda lines: len(readings(lines, 1)) > before, "a reading")

    refused = [line for line in port.lines if line.startswith(b"refused")]
    assert refused[:2] == [b"refused a line begins with command", b"refused a payload has 38 hexadecimal digits"]


def test_a_command_for_a_silent_node_expires(simulate: Simulate, listen: Callable[[Simulation], Port]) -> None:
    """The gateway node keeps it for its time and then says that it is over."""
    simulation = simulate()
    port = listen(simulation)
    port.until(lambda lines: len(readings(lines, 1)) >= 2, "two readings")
    line = command(port, counter=5).replace(b"command 1 60", b"command 1 1")
    simulation.boards[1].radio.mute = True

    port.write(line)
    port.until(lambda lines: any(line.startswith(b"over 1 5 ") for line in lines), "the end of the command")
    assert b"over 1 5 expired" in port.lines


def test_answers_are_believed_only_with_the_key(simulate: Simulate, gateway: Gateway, mosquitto: Mosquitto, subscriber: Subscriber) -> None:
    """The node refuses what a gateway with another key asks, and that gateway does not believe the answer."""
    simulation = simulate()
    configure(gateway, simulation, mosquitto, bytes(16))
    gateway.start("run")
    subscriber.wait(lambda s: len(s.values("iiot/node1/status")) >= 2, "two readings")

    subscriber.publish("iiot/node1/set/interval_s", "60")

    def outcomes() -> list[int]:
        return [frame[12] for frame in simulation.boards[1].radio.frames if frame[0] & 0x1F == ANSWER]

    subscriber.wait(lambda _s: bool(outcomes()), "an answer", 60.0)
    assert set(outcomes()) == {4}  # forged
    # The answer is still on its way when the radio has sent it.
    until(lambda: "does not hold the key" in gateway.log(), "the gateway's doubt")
