"""The simulated devices against what their data sheets say."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from iiot_gateway.devices.air import Air, AirPlan, Modulation, signal
from iiot_gateway.devices.chips import Chips, crc8
from iiot_gateway.devices.rylr998 import Rylr998

EVERY_BYTE = bytes(range(240))


class HandClock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.later: list[tuple[float, Callable[..., object], tuple[object, ...]]] = []

    def time(self) -> float:
        """Return the time."""
        return self.now_s

    def call_at(self, when: float, callback: Callable[..., object], *args: object) -> None:
        """Keep it for later."""
        self.later.append((when, callback, args))

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds
        due = sorted((entry for entry in self.later if entry[0] <= self.now_s), key=lambda entry: entry[0])
        self.later = [entry for entry in self.later if entry[0] > self.now_s]
        for _when, callback, args in due:
            callback(*args)


def modules(count: int, plan: AirPlan | None = None) -> tuple[HandClock, list[Rylr998], list[list[bytes]]]:
    """Return modules with the addresses from 1 on, each with the list of what it says."""
    clock = HandClock()
    air = Air(plan or AirPlan(), clock)
    said: list[list[bytes]] = [[] for _ in range(count)]
    found = [Rylr998(air, clock, lines.append, 100.0 * number) for number, lines in enumerate(said)]
    for number, module in enumerate(found):
        module.feed(b"AT+ADDRESS=%d\r\n" % (number + 1))
    return clock, found, said


def test_time_on_air_is_that_of_the_data_sheet() -> None:
    """Eight bytes at factor 9 take 181.248 ms, twenty-four at factor 7 76.032 ms."""
    assert Modulation().airtime_s(8) == pytest.approx(0.181248)
    assert Modulation(spreading_factor=7).airtime_s(24) == pytest.approx(0.076032)


def test_signal_is_that_of_the_range_test() -> None:
    """RSSI within 2 dBm and SNR within 2 dB at 100, 400 and 600 m."""
    for distance_m, rssi_dbm, snr_db in ((100, -82, 11), (400, -100, -2), (600, -107, -6)):
        assert signal(distance_m)[0] == pytest.approx(rssi_dbm, abs=2)
        assert signal(distance_m)[1] == pytest.approx(snr_db, abs=2)


def test_a_module_takes_data_by_its_length() -> None:
    """Any bytes, in any chunks; they arrive when their time on air is over."""
    clock, (sender, _receiver), (answers, heard) = modules(2)
    for byte in b"AT+SEND=2,240," + EVERY_BYTE + b"\r\nAT\r\n":
        sender.feed(bytes([byte]))
    assert answers == [b"+OK\r\n"] * 3
    assert heard == [b"+OK\r\n"]

    clock.advance(5)

    assert heard[1:] == [b"+RCV=1,240," + EVERY_BYTE + b",-82,11\r\n"]


def test_a_module_refuses_what_the_manual_says() -> None:
    """A frame during its own time on air, an unknown command, too much data."""
    _clock, (module, _other), (said, _heard) = modules(2)
    for command in (b"AT+SEND=2,1,x", b"AT+SEND=2,1,y", b"AT+FOO", b"BT", b"AT+SEND=2,0,"):
        module.feed(command + b"\r\n")
    assert said[1:] == [b"+OK\r\n", b"+ERR=17\r\n", b"+ERR=4\r\n", b"+ERR=2\r\n", b"+ERR=13\r\n"]


def test_frames_that_meet_are_lost_and_others_are_not_heard() -> None:
    """Two at once collide at the third; another band hears nothing."""
    clock, (first, second, third), (_a, _b, heard) = modules(3)
    first.feed(b"AT+SEND=3,1,x\r\n")
    second.feed(b"AT+SEND=3,1,y\r\n")
    clock.advance(5)
    third.feed(b"AT+BAND=868100000\r\n")
    first.feed(b"AT+SEND=3,1,z\r\n")
    clock.advance(5)

    assert heard == [b"+OK\r\n", b"+OK\r\n"]


def test_another_network_is_not_heard_but_disturbs() -> None:
    """Neighbours on one channel: a frame of theirs says nothing, and one at the same time costs ours."""
    clock, (ours, theirs, receiver), (_a, _b, heard) = modules(3)
    theirs.feed(b"AT+NETWORKID=5\r\n")
    theirs.feed(b"AT+SEND=3,1,x\r\n")
    clock.advance(5)
    ours.feed(b"AT+SEND=3,1,y\r\n")
    theirs.feed(b"AT+SEND=3,1,z\r\n")
    clock.advance(5)
    assert heard == [b"+OK\r\n"]

    receiver.feed(b"AT+NETWORKID=5\r\n")
    theirs.feed(b"AT+SEND=3,1,x\r\n")
    clock.advance(5)
    assert heard[2:] == [b"+RCV=2,1,x,-82,11\r\n"]


def test_what_the_air_loses_doubles_and_damages_is_counted() -> None:
    """Each share over a thousand frames, with bursts and without."""
    for bursts in (False, True):
        clock, (sender, _receiver), (_answers, heard) = modules(2, AirPlan(loss=0.3, bursts=bursts, duplication=0.1, corruption=0.1))
        for _ in range(1000):
            sender.feed(b"AT+SEND=2,4,good\r\n")
            clock.advance(30)
        counters = sender._air.counters
        assert counters.sent == 1000
        assert counters.lost == pytest.approx(300, abs=90)
        assert counters.doubled == pytest.approx(70, abs=35)
        assert counters.damaged == pytest.approx(77, abs=40)
        assert len(heard) - 1 == counters.arrived == 1000 - counters.lost + counters.doubled
        assert sum(b"good" not in line for line in heard[1:]) == counters.damaged


def test_chips_answer_over_the_bridge_in_any_chunks() -> None:
    """The SHT31 with its checksums, a chip that is not there, and the supply."""
    chips, answers = Chips(), []
    chips.sht31.temperature, chips.sht31.humidity = -45.0, 100.0
    for byte in b"W\x44\x00\x02\x24\x00R\x44\x00\x06W\x21\x00\x01\x00V":
        chips.feed(bytes([byte]), answers.append)
    assert crc8(b"\xbe\xef") == 0x92
    values = b"\0\0" + bytes([crc8(b"\0\0")]) + b"\xff\xff" + bytes([crc8(b"\xff\xff")])
    assert answers == [b"\1", b"\1" + values, b"\0", (3300).to_bytes(2, "big")]
