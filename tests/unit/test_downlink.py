"""Commands before they leave, and what is heard of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from iiot_gateway._native import SideConnection, sign_command
from iiot_gateway.config.load import load_text
from iiot_gateway.config.wiring import profile_path
from iiot_gateway.downlink.service import Downlink, value_of
from iiot_gateway.errors import ConfigError, SourceUnavailable
from iiot_gateway.profile import read_profile

KEY = bytes(range(16))
DOCUMENT = b'[INFO] {"ts":1,"id":"N2","n1":{"t":1.5,"seq":7,"boot":4711}}\n{"ts":2,"nodes":{"node4":{"seq":65530,"boot":9}}}\n'


class Wire:
    """The end of a serial line that a node would read."""

    def __init__(self) -> None:
        self.listener = None
        self.written: list[bytes] = []
        self.is_open = True

    def write(self, data: bytes) -> None:
        """Note what is written."""
        if not self.is_open:
            raise SourceUnavailable("unplugged", "")
        self.written.append(data)


def downlink(wire: Wire) -> Downlink:
    """Return one that has no broker."""
    side = SideConnection(broker_url="mqtt://127.0.0.1:1", client_id="test", subscriptions=["iiot/+/set/+"])
    profile = read_profile(profile_path(Path(), "lora-bridge"))
    return Downlink(side, wire, profile, key=KEY, prefix="iiot", valid_s=60)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_command_is_bound_to_what_was_heard_last(size: int) -> None:
    """Whatever the chunks: run and newest number of the node that is meant, and a window of packets that wraps."""
    wire = Wire()
    link = downlink(wire)
    for at in range(0, len(DOCUMENT), size):
        link.hear(DOCUMENT[at : at + size])

    link.ask("iiot/node4/set/led", b"on")

    (line,) = wire.written
    payload = bytes.fromhex(line.split()[3].decode())
    counter = int.from_bytes(payload[4:8], "big")
    expected = sign_command(KEY, node=4, boot=9, until_seq=58, counter=counter, action="led", value=1)
    assert line == f"command 4 60 {expected.hex()}\n".encode()


@pytest.mark.parametrize(
    "line",
    [
        b'{"ts":1,"n1":{"boot":1e999,"seq":1}}',
        b'{"ts":1,"n1":{"boot":99999999999,"seq":1}}',
        b'{"ts":1,"n1":{"boot":1,"seq":-1}}',
        b'{"ts":1,"nodes":{"node70000":{"boot":1,"seq":1}}}',
        b'{"ts":1,"nodes":{"node0":{"boot":1,"seq":1}}}',
        b'{"ts":1,"n1":' + b"[" * 3000,
        b"answer 300 00",
        b"answer 99999999999999999999 00",
        b"over 1 99999999999999999999999 late",
    ],
)
def test_what_a_node_cannot_have_meant_changes_nothing(line: bytes) -> None:
    """Whatever stands on the port: the next command is signed for what was heard before."""
    wire = Wire()
    link = downlink(wire)
    link.hear(DOCUMENT)

    link.hear(line + b"\n")

    link.ask("iiot/node1/set/led", b"on")
    (written,) = wire.written
    counter = int.from_bytes(bytes.fromhex(written.split()[3].decode())[4:8], "big")
    expected = sign_command(KEY, node=1, boot=4711, until_seq=71, counter=counter, action="led", value=1)
    assert written == f"command 1 60 {expected.hex()}\n".encode()


def test_what_had_waited_at_its_node_is_not_its_newest() -> None:
    """A packet with an age was sent before others that have come already."""
    wire = Wire()
    link = downlink(wire)
    link.hear(DOCUMENT)

    link.hear(b'{"ts":3,"age":60000,"n1":{"t":1.5,"seq":3,"boot":4711}}\n')

    link.ask("iiot/node1/set/led", b"on")
    (written,) = wire.written
    counter = int.from_bytes(bytes.fromhex(written.split()[3].decode())[4:8], "big")
    expected = sign_command(KEY, node=1, boot=4711, until_seq=71, counter=counter, action="led", value=1)
    assert written == f"command 1 60 {expected.hex()}\n".encode()


def test_counters_only_rise() -> None:
    """Two commands in one second have different ones."""
    wire = Wire()
    link = downlink(wire)
    link.hear(DOCUMENT)

    for _ in range(3):
        link.ask("iiot/node1/set/reboot", b"")

    counters = [int.from_bytes(bytes.fromhex(line.split()[3].decode())[4:8], "big") for line in wire.written]
    assert counters == sorted(set(counters))


def test_what_is_refused_never_leaves() -> None:
    """Strangers, unknown names, impossible values and retained messages."""
    wire = Wire()
    link = downlink(wire)
    link.hear(DOCUMENT)

    link.ask("iiot/node1/set/led", b"on", retained=True)
    link.ask("iiot/node1/set/colour", b"red")
    link.ask("iiot/node9/set/led", b"on")
    link.ask("iiot/nodeX/set/led", b"on")
    link.ask("iiot/node1/set/interval_s", b"3601")

    assert wire.written == []


@pytest.mark.parametrize(
    ("name", "payload", "expected"),
    [
        ("interval_s", b" 30\n", ("interval_s", 30)),
        ("interval_s", b"3600", ("interval_s", 3600)),
        ("interval_s", b"0", None),
        ("interval_s", b"3601", None),
        ("interval_s", b"1e3", None),
        ("interval_s", b"9" * 5000, None),
        ("interval_s", b"000000001234567", None),
        ("interval_s", b"000000030", ("interval_s", 30)),
        ("interval_s", "\u0663".encode(), None),
        ("led", b"ON", ("led", 1)),
        ("led", b"false", ("led", 0)),
        ("led", b"2", None),
        ("reboot", b"", ("reboot", 0)),
        ("reboot", b"0", None),
        ("colour", b"red", None),
        ("interval_s", b"\xff\xfe", None),
    ],
)
def test_values_are_read_strictly(name: str, payload: bytes, expected: object) -> None:
    """A command is what it says or nothing."""
    assert value_of(name, payload) == expected


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[serial]\nport = "/dev/null"\n[mqtt]\n[downlink]\nkey = "abc"', "32 hexadecimal digits"),
        (f'[mqtt]\n[downlink]\nkey = "{KEY.hex()}"', "no serial source"),
        (f'[serial]\nport = "/dev/null"\n[downlink]\nkey = "{KEY.hex()}"', "no broker"),
    ],
)
def test_a_downlink_that_cannot_be_is_told(text: str, fault: str) -> None:
    """At the start, with the key that is wrong."""
    with pytest.raises(ConfigError, match=fault):
        load_text(text)
