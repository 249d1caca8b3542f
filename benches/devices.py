"""Devices: single posts and batches over HTTP, each answered when it is synced; finding a key among many; memory with many devices.

Beside the posts, in the same run: an endpoint on the same server that asks for the same keys and throws the body away.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.lowlevel

from figures import Report, spread
from fleets import Fleet
from memory import kilobytes
from peers import Bare
from servers import free_port, until

CLIENTS = 50
BATCH = 500
FREE = "requests_per_minute = 0\npoints_per_minute = 0\naddress_requests_per_minute = 0"
POINT = '{"measurement":"temperature","fields":{"value":21.50,"number":NUMBER},"message_id":"NUMBER"}'
REGISTERED = 100_000
HELD = 10_000
REST_S = 3.0


def run(report: Report, folder: Path, *, short: bool) -> None:
    """Add the figures."""
    seconds, rounds = (4.0, 3) if short else (15.0, 5)
    posts(report, folder / "posts", seconds, rounds)
    registry(report, folder / "registry")


def posts(report: Report, folder: Path, seconds: float, rounds: int) -> None:
    """Measure posts."""
    fleet = Fleet(folder / "gateway", devices=f"{FREE}\nmax_message_ids = 20000000", sections="")
    names = [f"d{number}" for number in range(CLIENTS)]
    keys = folder / "keys"
    keys.write_text("".join(f"{fleet.add(name)}\n" for name in names))
    one, many = folder / "one.json", folder / "many.json"
    one.write_text(POINT)
    # Without ids and times, so that each is a point of its own.
    point = {"measurement": "temperature", "fields": {"value": 21.5, "number": 1}}
    many.write_text(json.dumps({"points": [point] * BATCH}))
    port = free_port()
    bare = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("bare_http.py")), str(port), str(fleet.folder / "iiot-devices.db")]
    )
    fleet.begin()
    rates, bares, batches, late, loaded = [], [], [], [], []
    try:
        until(lambda: _listens(port), "the bare endpoint")
        for _ in range(rounds):
            bares.append(posted(port, one, keys, seconds)[0])
            rates.append(posted(fleet.port, one, keys, seconds)[0])
            batches.append(posted(fleet.port, many, keys, seconds, path="/batch", clients=4)[0] * BATCH)
        half = statistics.median(rates) / 2
        for _ in range(rounds):
            rate, p99 = posted(fleet.port, one, keys, seconds, rate=half)
            loaded.append(rate)
            late.append(p99)
    finally:
        bare.kill()
        bare.wait()
        fleet.end()
    beside = f"bare {statistics.median(bares):,.0f}/s ({spread(bares)})"
    report.add("http_posts_per_s", statistics.median(rates), f"{CLIENTS} connections; {beside}; {spread(rates)}")
    report.add("http_posts_vs_bare", statistics.median(rates) / statistics.median(bares), beside)
    report.add("http_batch_points_per_s", statistics.median(batches), f"{BATCH} points a post; {spread(batches)}")
    report.add("http_p99_ms", statistics.median(late), f"at {statistics.median(loaded):,.0f} posts/s; {spread(late)}")


def posted(
    port: int, body: Path, keys: Path, seconds: float, *, path: str = "", clients: int = CLIENTS, rate: float = 0.0
) -> tuple[float, float]:
    """Return posts a second, and the 99th percentile of the time to an answer in milliseconds."""
    with Bare(
        "posts", port=port, body=body, keys=keys, seconds=seconds, clients=clients, rate=rate, path=f"/api/v1/influxdb/telemetry{path}"
    ) as load:
        load.go()
        _count, per_s, _p50, p99 = load.expect("posted")
    return float(per_s), float(p99)


def registry(report: Report, folder: Path) -> None:
    """Measure finding a key, and memory."""
    from iiot_gateway.device_api.door import Door
    from iiot_gateway.registry.device import Device
    from iiot_gateway.registry.file import RegistryFile
    from iiot_gateway.registry.keys import KeyKind, digest, new_key
    from iiot_gateway.registry.store import Registry
    from iiot_gateway.registry.stored_key import StoredKey

    folder.mkdir(parents=True)
    keys = [new_key(KeyKind.DEVICE) for _ in range(REGISTERED)]
    large = Registry(RegistryFile(str(folder / "large.db")))
    large.devices.add_all(
        (Device(id=str(n), name=f"device {n}", type="sensor", location="hall"), StoredKey(digest(key))) for n, key in enumerate(keys)
    )
    door = Door(large)
    asked = keys[:: REGISTERED // 5000]

    async def per_key(look_up: Callable[[str], Awaitable[object]]) -> float:
        began_s = time.perf_counter()
        for key in asked:
            await look_up(key)
            # Each is asked in a turn of the event loop of its own, as requests come.
            await anyio.lowlevel.checkpoint()
        return (time.perf_counter() - began_s) / len(asked) * 1e6

    async def nothing(_key: str) -> None: ...

    lookup_us = anyio.run(per_key, door.holder) - anyio.run(per_key, nothing)
    large.close()
    fleet = Fleet(folder / "gateway", devices=FREE, sections="")
    held = Registry(RegistryFile(str(fleet.folder / "iiot-devices.db")))
    held.devices.add_all(
        (Device(id=str(n), name=f"device {n}", type="sensor", location="hall"), StoredKey(digest(keys[n]))) for n in range(HELD)
    )
    held.close()
    fleet.begin()
    try:
        assert fleet.process is not None
        time.sleep(REST_S)
        megabytes = kilobytes(fleet.process.pid, "VmRSS") / 1024
    finally:
        fleet.end()
    report.add("registry_lookup_us", lookup_us, f"a key among {REGISTERED:,}, none of them asked for before")
    report.add("rss_devices_mb", megabytes, f"{HELD:,} devices")


def _listens(port: int) -> bool:
    import socket

    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
