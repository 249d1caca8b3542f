"""What goes in: the original gateway's document with varying values, and a log with the shape of the recorded one."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

from recordings import generated, shared_recording

METRICS = 9
"""Values in the original's document, each a topic and a line."""


def log_line(rng: random.Random, packet: int, step_ms: int = 10) -> str:
    """Return the original's log line for one packet, so many milliseconds of the node's clock behind the one before."""
    return (
        f'[INFO] JSON sent via VCP: {{"ts":{12_000 + packet * step_ms % 2**31},"id":"N2",'
        f'"n1":{{"t":{rng.randrange(150, 350) / 10},"h":{rng.randrange(300, 800) / 10},"g":{rng.randrange(50_000, 90_000)}}},'
        f'"n2":{{"t":{rng.randrange(150, 350) / 10},"h":{rng.randrange(300, 800) / 10}}},'
        f'"sig":{{"rssi":{rng.randrange(-120, -30)},"snr":{rng.randrange(-20, 14)}}},'
        f'"sts":{{"rx":{packet + 1},"err":{packet // 1000}}}}}\\n (wk5_gateway_firmware src/main.rs:573)\n'
    )


def write_log(path: Path, packets: int, seed: int = 1) -> Path:
    """Write a log of so many packets; the same seed gives the same log."""
    rng = random.Random(seed)
    with path.open("w") as file:
        file.writelines(log_line(rng, packet) for packet in range(packets))
    return path


def decoding_log() -> tuple[str, bytes]:
    """Return the recorded log where there is one, else one of the same shape, and which it is."""
    path = shared_recording()
    if path is None:
        return "generated log", generated(12_653)
    return "recorded log", gzip.decompress(path.read_bytes())
