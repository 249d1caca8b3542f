"""The wire vectors, read by a decoder that was written from docs/wire-format.md and shares no code with the one in Rust."""

from __future__ import annotations

import binascii
import json
import struct
from pathlib import Path
from typing import Any

import pytest

VECTORS = sorted((Path(__file__).parents[1] / "vectors" / "wire").glob("*.json"))

TYPES = {1: "reading", 2: "info", 3: "ack", 4: "command", 5: "answer"}
FLAGS = ("ack_req", "retry", "cmd_pending")
RESET_CAUSES = ("other", "power_on", "pin", "software", "watchdog", "window_watchdog", "brown_out", "low_power")
OUTCOMES = ("done", "expired", "unknown", "repeated", "forged", "out_of_range", "not_possible")
# Name and struct format of what follows the mask of a reading, in the order of its bits; 24 bits have no format.
READING = (
    ("temperature_centidegrees", ">h"),
    ("humidity_centipercent", ">H"),
    ("gas_resistance_ohm", ">I"),
    ("pressure_pa", "24"),
    ("battery_mv", ">H"),
    ("status", ">H"),
    ("age_ms", ">I"),
)


class PacketFault(ValueError):
    """A fault of the list in the document, and where."""

    def __init__(self, fault: str, at: int) -> None:
        super().__init__(f"{fault} at {at}")
        self.fault = fault
        self.at = at


class Cursor:
    """Takes fields from a packet without its checksum."""

    def __init__(self, covered: bytes, at: int) -> None:
        self.covered = covered
        self.at = at

    def take(self, layout: str) -> Any:
        """Take one number."""
        if layout == "24":
            return int.from_bytes(self.raw(3), "big")
        return struct.unpack(layout, self.raw(struct.calcsize(layout)))[0]

    def raw(self, count: int) -> bytes:
        """Take bytes as they are."""
        taken = self.covered[self.at : self.at + count]
        if len(taken) < count:
            raise PacketFault("cut_short", self.at)
        self.at += count
        return taken

    def name(self, names: tuple[str, ...]) -> str:
        """Take a number that stands for a name."""
        at = self.at
        number = self.take(">B")
        if number >= len(names):
            raise PacketFault("discriminant", at)
        return names[number]


def decode(packet: bytes) -> dict[str, Any]:
    """The packet as the vectors write it."""
    if len(packet) < 10:
        raise PacketFault("cut_short", len(packet))
    if len(packet) > 240:
        raise PacketFault("too_long", 240)
    # What the standard library calls crc_hqx is CRC-16 with polynomial 0x1021, and the initial value is ours to choose.
    if binascii.crc_hqx(packet[:-2], 0xFFFF) != int.from_bytes(packet[-2:], "big"):
        raise PacketFault("checksum", len(packet) - 2)
    first, flags, src, dst, boot, seq = struct.unpack(">BBBBHH", packet[:8])
    if first >> 5 != 1:
        raise PacketFault("version", 0)
    if first & 31 not in TYPES:
        raise PacketFault("type", 0)
    if flags >> len(FLAGS):
        raise PacketFault("reserved_bits", 1)
    kind = TYPES[first & 31]
    cursor = Cursor(packet[:-2], 8)
    payload = PAYLOADS[kind](cursor)
    if cursor.at != len(packet) - 2:
        raise PacketFault("bytes_left", cursor.at)
    names = [name for bit, name in enumerate(FLAGS) if flags >> bit & 1]
    return {"header": {"flags": names, "src": src, "dst": dst, "boot": boot, "seq": seq}, "type": kind, "payload": payload}


def reading(cursor: Cursor) -> dict[str, Any]:
    """Mask and values."""
    mask = cursor.take(">B")
    if mask & 0x80:
        raise PacketFault("reserved_bits", 8)
    values: dict[str, Any] = {}
    for bit, (name, layout) in enumerate(READING):
        if not mask >> bit & 1:
            continue
        at = cursor.at
        values[name] = cursor.take(layout)
        if name == "humidity_centipercent" and values[name] > 10_000:
            raise PacketFault("out_of_range", at)
        if name in {"status", "age_ms"} and values[name] == 0:
            raise PacketFault("redundant", at)
    return values


def info(cursor: Cursor) -> dict[str, Any]:
    """Version, reset cause and counters."""
    values = {"protocol": cursor.take(">B"), "firmware": list(cursor.raw(3)), "reset_cause": cursor.name(RESET_CAUSES)}
    values["uptime_s"] = cursor.take(">I")
    for name in ("interval_s", "transmitted", "retransmitted", "dropped", "radio_errors"):
        values[name] = cursor.take(">H")
    return values


def ack(cursor: Cursor) -> dict[str, Any]:
    """Signal figures."""
    return {"rssi_dbm": -cursor.take(">B"), "snr_db": cursor.take(">b")}


def command(cursor: Cursor) -> dict[str, Any]:
    """What is asked, with its code."""
    fields = (("boot", ">H"), ("until_seq", ">H"), ("counter", ">I"), ("code", ">B"), ("argument", ">H"), ("mac", ">I"))
    return {name: cursor.take(layout) for name, layout in fields}


def answer(cursor: Cursor) -> dict[str, Any]:
    """What became of it, with its code."""
    values = {"counter": cursor.take(">I"), "outcome": cursor.name(OUTCOMES)}
    return {**values, "value": cursor.take(">H"), "mac": cursor.take(">I")}


PAYLOADS = {"reading": reading, "info": info, "ack": ack, "command": command, "answer": answer}


def siphash24(key: bytes, message: bytes) -> int:
    """SipHash-2-4, as its paper has it."""
    mask = (1 << 64) - 1
    k0, k1 = struct.unpack("<QQ", key)
    a, b, c, d = k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573

    def rotated(word: int, by: int) -> int:
        return (word << by | word >> (64 - by)) & mask

    def rounds(count: int) -> None:
        nonlocal a, b, c, d
        for _ in range(count):
            a, c = (a + b) & mask, (c + d) & mask
            b, d = rotated(b, 13) ^ a, rotated(d, 16) ^ c
            a, c = (rotated(a, 32) + d) & mask, (c + b) & mask
            d, b = rotated(d, 21) ^ a, rotated(b, 17) ^ c
            c = rotated(c, 32)

    padded = message + bytes(-(len(message) + 1) % 8) + bytes([len(message) % 256])
    for (word,) in struct.iter_unpack("<Q", padded):
        d ^= word
        rounds(2)
        a ^= word
    c ^= 0xFF
    rounds(4)
    return a ^ b ^ c ^ d


def module_events(said: bytes) -> list[dict[str, Any]]:
    """The events of undamaged bytes from the module."""
    events: list[dict[str, Any]] = []
    while said:
        if said.startswith(b"+RCV="):
            address, length, rest = said.removeprefix(b"+RCV=").split(b",", 2)
            data, tail = rest[: int(length)], rest[int(length) :]
            signal, said = tail.split(b"\r\n", 1)
            rssi, snr = signal.removeprefix(b",").split(b",")
            events.append({"received": data.hex(), "address": int(address), "rssi_dbm": int(rssi), "snr_db": int(snr)})
            continue
        line, said = said.split(b"\r\n", 1)
        number = line.removeprefix(b"+ERR=")
        if number != line:
            events.append({"error": int(number)})
        else:
            events.append({b"+OK": {"ok": True}, b"+READY": {"ready": True}}.get(line, {"line": line.decode()}))
    return events


def load(path: Path) -> dict[str, Any]:
    """A vector."""
    vector: dict[str, Any] = json.loads(path.read_text())
    return vector


def named(key: str) -> list[Any]:
    """Vectors that hold this key."""
    return [pytest.param(vector, id=vector["name"]) for vector in map(load, VECTORS) if key in vector]


@pytest.mark.parametrize("vector", named("packet"))
def test_bytes_say_what_the_vector_says(vector: dict[str, Any]) -> None:
    """Each packet reads as its fields."""
    assert decode(bytes.fromhex(vector["bytes"])) == vector["packet"]


@pytest.mark.parametrize("vector", named("error"))
def test_faults_are_found_where_the_vector_says(vector: dict[str, Any]) -> None:
    """Each damaged packet is refused with its fault and place."""
    with pytest.raises(PacketFault) as caught:
        decode(bytes.fromhex(vector["bytes"]))

    assert {"fault": caught.value.fault, "at": caught.value.at} == vector["error"]


@pytest.mark.parametrize("vector", named("key"))
def test_codes_are_those_of_the_key(vector: dict[str, Any]) -> None:
    """A command or answer carries the code of its key, unless it is there to be forged."""
    packet, header = bytes.fromhex(vector["bytes"]), vector["packet"]["header"]
    node = header["dst"] if vector["packet"]["type"] == "command" else header["src"]
    covered = packet[:1] + bytes([node]) + packet[8:-6]
    code = siphash24(bytes.fromhex(vector["key"]), covered) & 0xFFFFFFFF

    assert (code == vector["packet"]["payload"]["mac"]) is vector["genuine"]


@pytest.mark.parametrize("vector", named("module"))
def test_the_module_says_what_the_vector_says(vector: dict[str, Any]) -> None:
    """Undamaged bytes read as their events; damaged ones end in a frame that is found again."""
    said = b"".join(bytes.fromhex(chunk["bytes"]) for chunk in vector["module"])
    if any("damaged" in event for event in vector["events"]):
        assert vector["events"][-1] in ({"received": data.hex(), "address": 1, "rssi_dbm": -71, "snr_db": 9} for data in (b"next", b"two"))
    else:
        assert module_events(said) == vector["events"]


def test_there_are_vectors_of_every_kind() -> None:
    """Nothing was lost on the way here."""
    kinds = {vector.values[0]["packet"]["type"] for vector in named("packet")}

    assert kinds == set(PAYLOADS)
    assert len(VECTORS) >= 50
    assert len(named("error")) >= 20
