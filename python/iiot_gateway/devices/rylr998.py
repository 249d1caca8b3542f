"""A RYLR998 module: the commands and answers on its UART, and its access to the air. Errors and factory settings follow the manual."""

from __future__ import annotations

import re
from collections.abc import Callable

from iiot_gateway.devices.air import Air, Clock, Modulation

MAX_DATA_BYTES = 240
SEND = re.compile(rb"AT\+SEND=(\d{1,5}),(\d{1,3}),")
NUMBER = re.compile(rb"AT\+(ADDRESS|NETWORKID|BAND|CRFOP|MODE|IPR)=(\d+)")
PARAMETER = re.compile(rb"AT\+PARAMETER=(\d+),(\d+),(\d+),(\d+)")


class Rylr998:
    """One module. `mute` answers nothing, `refusing` answers every command with an error; both may change while it runs."""

    def __init__(self, air: Air, clock: Clock, write: Callable[[bytes], None], distance_m: float = 0.0) -> None:
        self.distance_m = distance_m
        self.mute = False
        self.refusing = 0
        self.commands: list[bytes] = []
        """The commands that the module got, except those to send frames."""
        self.frames: list[bytes] = []
        """The frames that the module got to send."""
        self._air = air
        self._clock = clock
        self._write = write
        self._settings = {b"ADDRESS": 0, b"NETWORKID": 18, b"BAND": 915_000_000, b"CRFOP": 22, b"MODE": 0, b"IPR": 115_200}
        self._modulation = Modulation()
        self._pending = b""
        self._sending_until_s = 0.0
        air.stations.append(self)

    @property
    def address(self) -> int:
        """Its own address."""
        return self._settings[b"ADDRESS"]

    @property
    def channel(self) -> tuple[object, ...]:
        """The properties that two modules must share for their frames to meet in the air."""
        return (self._settings[b"BAND"], self._modulation)

    @property
    def network_id(self) -> int:
        """Of the modules that hear each other on one channel."""
        return self._settings[b"NETWORKID"]

    def feed(self, data: bytes) -> None:
        """Take bytes of the node in any chunks."""
        self._pending += data
        while (line := self._next()) is not None:
            if self.mute:
                continue
            self._say(self._answer(line))

    def say(self, data: bytes) -> None:
        """Send any text to the node, as a damaged module or a loose cable would."""
        self._write(data)

    def restart(self) -> None:
        """Lose power: the settings are those of the factory again."""
        self._settings |= {b"ADDRESS": 0, b"BAND": 915_000_000, b"CRFOP": 22}
        self._modulation = Modulation()
        self._say(b"+READY")

    def receive(self, sender: int, data: bytes, rssi_dbm: int, snr_db: int) -> None:
        """Report a frame."""
        if not self.mute:
            self._write(b"+RCV=%d,%d,%b,%d,%d\r\n" % (sender, len(data), data, rssi_dbm, snr_db))

    def _say(self, line: bytes) -> None:
        self._write(line + b"\r\n")

    def _next(self) -> bytes | None:
        """Take the first whole command out, with a frame's data taken by its length."""
        if (send := SEND.match(self._pending)) is not None:
            end = send.end() + int(send[2])
            if len(self._pending) < end + 2:
                return None
            line, self._pending = self._pending[:end], self._pending[end + 2 :]
            return line
        line, ended, rest = self._pending.partition(b"\r\n")
        if not ended or (line.startswith(b"AT+SEND=") and line.count(b",") < 2):
            return None
        self._pending = rest
        return line

    def _answer(self, line: bytes) -> bytes:
        if self.refusing:
            return b"+ERR=%d" % self.refusing
        if (send := SEND.match(line)) is not None:
            return self._send(int(send[1]), line[send.end() :])
        self.commands.append(line)
        if (number := NUMBER.fullmatch(line)) is not None:
            self._settings[number[1]] = int(number[2])
        elif (parameter := PARAMETER.fullmatch(line)) is not None:
            self._modulation = Modulation(*(int(value) for value in parameter.groups()))
        elif line == b"AT+RESET":
            self._say(b"+RESET")
            return b"+READY"
        elif not line.startswith(b"AT"):
            return b"+ERR=2"
        elif line != b"AT":
            return b"+ERR=4"
        return b"+OK"

    def _send(self, to: int, data: bytes) -> bytes:
        if not 0 < len(data) <= MAX_DATA_BYTES:
            return b"+ERR=13"
        now_s = self._clock.time()
        if now_s < self._sending_until_s:
            return b"+ERR=17"
        airtime_s = self._modulation.airtime_s(len(data))
        self._sending_until_s = now_s + airtime_s
        self.frames.append(data)
        self._air.send(self, to, data, airtime_s)
        return b"+OK"
