"""The chips on a node's I2C bus, from their data sheets, behind the emulated board's bridge.

    from the board   'W' address length:2 bytes...    'R' address length:2      'V' asks for the supply
    to the board     1 if acknowledged, else 0        1 bytes..., or 0          millivolts:2

Numbers high byte first. Values may be changed while the node runs; a chip that is not `there` acknowledges nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

HEADER_BYTES = 4


class Chip(Protocol):
    """A chip that answers at an address."""

    there: bool

    def write(self, data: bytes, /) -> None:
        """Take a write transfer."""

    def read(self, length: int, /) -> bytes:
        """Give a read transfer."""


def crc8(data: bytes) -> int:
    """Return Sensirion's checksum: polynomial 0x31, start 0xFF."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x31) & 0xFF if crc & 0x80 else crc << 1
    return crc


@dataclass
class Sht31:
    """Temperature in degrees Celsius, relative humidity in percent; `damaged` answers carry a wrong checksum."""

    temperature: float = 27.6
    humidity: float = 54.1
    there: bool = True
    damaged: bool = False

    def write(self, data: bytes, /) -> None:
        """Take a command; single shots need nothing else."""

    def read(self, length: int, /) -> bytes:
        """Give the values at this moment."""
        answer = b""
        for raw in (round((self.temperature + 45) / 175 * 65535), round(self.humidity / 100 * 65535)):
            value = max(0, min(65535, raw)).to_bytes(2, "big")
            answer += value + bytes([crc8(value) ^ self.damaged])
        return answer[:length]


CALIBRATION = {
    0x00: bytes([45, 0, 0x16, 0, 0x13]),
    0x8A: bytes.fromhex("3a6703002b8e9dd65800 9f1b54ff291e00000ef675f61e".replace(" ", "")),
    0xE1: bytes.fromhex("3f6a2f002d14789c596585eed612"),
}
"""The calibration that the factory wrote into one BME680, by register."""


@dataclass
class Bme680:
    """A BME680 that gives the raw values of its converters, which the compensation formulas of its driver expect."""

    temperature_raw: int = 496_000
    pressure_raw: int = 340_000
    humidity_raw: int = 20_000
    gas_raw: int = 600
    gas_range: int = 4
    there: bool = True
    heater_stable: bool = True
    registers: bytearray = field(default_factory=lambda: bytearray(256))
    pointer: int = 0

    def __post_init__(self) -> None:
        """Write calibration and chip id."""
        for at, values in CALIBRATION.items():
            self.registers[at : at + len(values)] = values
        self.registers[0xD0] = 0x61

    def write(self, data: bytes, /) -> None:
        """Set the pointer, or registers by pairs; forced mode measures."""
        self.pointer = data[0]
        for register, value in zip(data[::2], data[1::2], strict=False):
            self.registers[register] = value
            if register == 0x74 and value & 0b11 == 0b01:
                self._measure()

    def _measure(self) -> None:
        stable = 0x30 if self.heater_stable else 0x20
        gas = bytes([self.gas_raw >> 2, self.gas_raw << 6 & 0xC0 | stable | self.gas_range])
        values = (self.pressure_raw << 4).to_bytes(3, "big") + (self.temperature_raw << 4).to_bytes(3, "big")
        self.registers[0x1D:0x2C] = b"\x80\x00" + values + self.humidity_raw.to_bytes(2, "big") + b"\0\0\0" + gas

    def read(self, length: int, /) -> bytes:
        """Give the registers from the pointer on."""
        return bytes(self.registers[self.pointer : self.pointer + length])


@dataclass
class Ssd1306:
    """A display that takes everything; it counts what it was sent."""

    there: bool = True
    received_bytes: int = 0

    def write(self, data: bytes, /) -> None:
        """Take commands and pixels."""
        self.received_bytes += len(data)

    def read(self, length: int, /) -> bytes:
        """Give nothing of interest."""
        return bytes(length)


class Chips:
    """The chips of one node; speaks the bridge's protocol."""

    def __init__(self) -> None:
        self.sht31 = Sht31()
        self.bme680 = Bme680()
        self.display = Ssd1306()
        self.battery_mv = 3300
        self.transfers = 0
        self._chips: dict[int, Chip] = {0x3C: self.display, 0x44: self.sht31, 0x76: self.bme680}
        self._pending = b""

    def feed(self, data: bytes, answer: Callable[[bytes], None]) -> None:
        """Take bytes of the board in any chunks, and answer each whole request."""
        self._pending += data
        while (length := self._whole()) is not None:
            request, self._pending = self._pending[:length], self._pending[length:]
            answer(self._serve(request))

    def _whole(self) -> int | None:
        """Return the length of the first request, if all of it has come."""
        if self._pending[:1] == b"V":
            return 1
        if len(self._pending) < HEADER_BYTES:
            return None
        length = HEADER_BYTES
        if self._pending[:1] == b"W":
            length += int.from_bytes(self._pending[2:4], "big")
        return length if len(self._pending) >= length else None

    def _serve(self, request: bytes) -> bytes:
        if request == b"V":
            return self.battery_mv.to_bytes(2, "big")
        self.transfers += 1
        chip = self._chips.get(request[1])
        if chip is None or not chip.there:
            return b"\0"
        if request[:1] == b"W":
            chip.write(request[HEADER_BYTES:])
            return b"\1"
        return b"\1" + chip.read(int.from_bytes(request[2:4], "big"))
