"""What the extension replaces: `json` and line protocol in plain Python, over the same bytes in the same chunks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

CHUNK_BYTES = 65_536
TIME_NS = 1_703_721_600_000_000_000

METRICS = (
    ("n1", "t", "temperature", "node1", "celsius"),
    ("n1", "h", "humidity", "node1", "percent"),
    ("n1", "g", "gas_resistance", "node1", "ohms"),
    ("n1", "p", "pressure", "node1", "hpa"),
    ("n1", "bat", "battery", "node1", "millivolts"),
    ("n2", "t", "temperature", "node2", "celsius"),
    ("n2", "h", "humidity", "node2", "percent"),
    ("n2", "p", "pressure", "node2", "hpa"),
    ("sig", "rssi", "rssi", "signal", "dbm"),
    ("sig", "snr", "snr", "signal", "db"),
    ("sts", "rx", "packets_received", "stats", ""),
    ("sts", "err", "crc_errors", "stats", ""),
)
"""Part, key, measurement, tag node, tag unit: the profile `lora-bridge`."""


def chunks(log: bytes) -> list[bytes]:
    """Cut a log as it would be read."""
    return [log[at : at + CHUNK_BYTES] for at in range(0, len(log), CHUNK_BYTES)]


def documents(pieces: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Frame by lines and parse; damaged documents are left out."""
    decode = json.JSONDecoder().raw_decode
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            at = line.find(b'{"')
            if at >= 0:
                try:
                    yield decode(line[at:].decode())[0]
                except ValueError:
                    continue


def with_points(pieces: Iterable[bytes]) -> list[str]:
    """Lines by `influxdb_client`: one `Point.to_line_protocol` a value."""
    from influxdb_client import Point

    out: list[str] = []
    for document in documents(pieces):
        for part, key, measurement, node, unit in METRICS:
            value = document.get(part, {}).get(key)
            if value is not None:
                point = Point(measurement).tag("node", node)
                if unit:
                    point = point.tag("unit", unit)
                out.append(point.field("value", float(value)).time(TIME_NS).to_line_protocol())
    return out


def with_fstrings(pieces: Iterable[bytes]) -> list[str]:
    """Lines by f-strings, with everything fixed made before."""
    heads = [(part, key, f"{name},node={node}{f',unit={unit}' if unit else ''} value=") for part, key, name, node, unit in METRICS]
    out: list[str] = []
    for document in documents(pieces):
        for part, key, head in heads:
            value = document.get(part, {}).get(key)
            if value is not None:
                out.append(f"{head}{value} {TIME_NS}")
    return out


def decoder() -> Callable[[list[bytes]], list[Any]]:
    """Return a function that decodes chunks in the extension; the lines stay there, as they do in the gateway."""
    from importlib.resources import files

    from iiot_gateway._native import Decoder, Profile

    profile = Profile.parse((files("iiot_gateway") / "profiles" / "lora-bridge.toml").read_text())

    def decode(pieces: list[bytes]) -> list[Any]:
        push = Decoder(profile, topic_prefix="iiot", tags={}).push
        return [push(piece, TIME_NS, publishes=False) for piece in pieces]

    return decode


def parsed(lines: Iterable[str]) -> list[tuple[str, float, str]]:
    """Return (measurement with tags, value, time) of every line, for comparing writers that print numbers differently."""
    out = []
    for line in lines:
        series, field, time = line.split(" ")
        out.append((series, float(field.removeprefix("value=").removesuffix("i")), time))
    return out
