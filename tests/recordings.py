"""Recorded logs for tests, and an independent reader that says what a right gateway finds in them.

The reader shares nothing with the gateway: it cuts lines, asks `json`, and applies the rules of the documentation. Logs are
either real ones, where they exist beside the project, or made here from a seed in the same shape.
"""

from __future__ import annotations

import gzip
import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WINDOW_MS = 3_600_000
WRAP_MS = 2**32

TOPICS = {
    ("n1", "t"): "node1/temperature",
    ("n1", "h"): "node1/humidity",
    ("n1", "g"): "node1/gas_resistance",
    ("n1", "bat"): "node1/battery",
    ("n2", "t"): "node2/temperature",
    ("n2", "h"): "node2/humidity",
    ("sig", "rssi"): "signal/rssi",
    ("sig", "snr"): "signal/snr",
    ("sts", "rx"): "stats/packets_received",
    ("sts", "err"): "stats/crc_errors",
}
RETAINED = ("node1/", "node2/")


def shared(*parts: str) -> Path | None:
    """Return a file of the shared data, where the checkout has it beside itself."""
    root = Path(os.environ.get("IIOT_SHARED_DATA") or Path(__file__).parent.parent.parent / "shared" / "data")
    path = root.joinpath(*parts)
    return path if path.exists() else None


def shared_recording() -> Path | None:
    """Return the recording of a real node, where the checkout has it beside itself."""
    return shared("lora", "tour-perret.rtt.log.gz")


def generated(packets: int, *, seed: int = 1) -> bytes:
    """Return a probe-rs log with repeats, gaps, damaged documents, a wrap of the uptime and other log lines."""
    rng = random.Random(seed)
    uptime, seq, errors = WRAP_MS - packets * 3_000, 1, 0
    out: list[str] = []
    last = ""
    for received in range(1, packets + 1):
        uptime += rng.randrange(5_000, 15_000)
        errors += rng.random() < 0.01
        if not last or rng.random() > 0.1:
            seq += 1 if rng.random() > 0.02 else 3
            temperature, humidity = round(rng.uniform(-5, 35), 1), rng.randrange(20, 99)
            last = (
                f'{{"t":{temperature:g},"h":{humidity},"g":{rng.randrange(50_000, 90_000)},"bat":{rng.randrange(3500, 3700)},"seq":{seq}}}'
            )
        document = (
            f'{{"ts":{uptime % WRAP_MS},"id":"N2","n1":{last},'
            f'"n2":{{"t":{rng.randrange(180, 280) / 10:g},"h":{rng.randrange(30, 60)}}},'
            f'"sig":{{"rssi":{rng.randrange(-127, -40)},"snr":{rng.randrange(-200, 130) / 10:g}}},'
            f'"sts":{{"rx":{received},"err":{errors}}}}}'
        )
        if rng.random() < 0.004:
            document = document[: rng.randrange(20, len(document) - 1)]
            out.append(f"[INFO ] JSON sent via VCP: {document}")
        else:
            out.append(f"[INFO ] JSON sent via VCP: {document}\\n (node2_firmware src/main.rs:573)")
        out.append("[INFO ] UART INT: 47 bytes, complete=true (node2_firmware src/main.rs:441)")
    return ("\n".join(out) + "\n").encode()


@dataclass
class Expected:
    """What a right gateway finds."""

    received: int = 0
    duplicate: int = 0
    rejected: int = 0
    documents: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """Accepted: milliseconds since the first document, and the document with its numbers as text."""

    @property
    def accepted(self) -> int:
        """How many were accepted."""
        return len(self.documents)

    def values(self, topic: str) -> list[str]:
        """Return every value of a topic, in order."""
        part, key = next(path for path, name in TOPICS.items() if name == topic)
        return [document[part][key] for _, document in self.documents if key in document.get(part, {})]

    def topics(self) -> list[str]:
        """Return the topics that get a value."""
        return [topic for topic in TOPICS.values() if self.values(topic)]

    def points(self, topic: str) -> dict[int, float]:
        """Return milliseconds since the first document -> value."""
        part, key = next(path for path, name in TOPICS.items() if name == topic)
        return {ms: float(document[part][key]) for ms, document in self.documents if key in document.get(part, {})}


def lines(path: Path) -> Iterator[bytes]:
    """Return the lines of a log, plain or gzip."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        yield from file


def expect(path: Path) -> Expected:
    """Read a log of one document a line."""
    expected = Expected()
    decoder = json.JSONDecoder(parse_int=str, parse_float=str)
    base = last = counter = None
    offset = 0
    seen: dict[tuple[str, str], int] = {}
    for line in lines(path):
        at = line.find(b'{"')
        if at < 0:
            continue
        expected.received += 1
        try:
            document = decoder.raw_decode(line[at:].decode())[0]
        except ValueError:
            expected.rejected += 1
            continue
        uptime, rx = int(document["ts"]), int(document["sts"]["rx"])
        if last is not None and uptime < last:
            offset += WRAP_MS if counter is not None and rx > counter else last
        last, counter = uptime, rx
        now = offset + uptime
        base = now if base is None else base
        key = (document["n1"].get("seq", ""), json.dumps(document["n1"]))
        if key[0] and key in seen and now - seen[key] <= WINDOW_MS:
            expected.duplicate += 1
            continue
        seen[key] = now
        ms = now - base
        if expected.documents and ms <= expected.documents[-1][0]:
            ms = expected.documents[-1][0] + 1
        expected.documents.append((ms, document))
    return expected
