"""Memory: resident at rest, and the peak and slope of a run at full rate with both servers away for part of it."""

from __future__ import annotations

import os
import random
import statistics
import threading
import time
from itertools import combinations
from pathlib import Path

from documents import log_line
from end_to_end import FIRST_LINE
from figures import Report, number
from gateways import Gateway
from peers import configuration, connected, servers

REST_S = 5.0
AHEAD = 30_000
"""Packets in the journal at most while the servers are there: the feeder keeps to the rate of the slower one."""
BLOCK = 1000
LOOK_S = 0.25


def kilobytes(pid: int, key: str) -> int:
    """Read VmRSS or VmHWM."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1])
    raise RuntimeError(f"{pid} has no {key}")


def at_rest(folder: Path, *, http: bool) -> float:
    """Return the megabytes of a gateway whose sinks are connected and whose port is silent."""
    broker, database = servers(folder)
    controller, device = os.openpty()
    gateway = Gateway(folder / "gateway")
    gateway.configure(configuration(broker=broker, database=database) + f'[serial]\nport = "{os.ttyname(device)}"\n')
    if http:
        text = gateway.config.read_text().replace("enabled = false", 'enabled = true\nlisten = "127.0.0.1:0"')
        gateway.config.write_text(text)
    try:
        process = gateway.start("run")
        connected(gateway, "mqtt", "influxdb")
        time.sleep(REST_S)
        megabytes = kilobytes(process.pid, "VmRSS") / 1024
        assert gateway.stop() == 0
        return megabytes
    finally:
        gateway.end()
        broker.stop()
        database.stop()
        os.close(controller)
        os.close(device)


class Feeder(threading.Thread):
    """Writes packets into a pipe until told otherwise, never more than `allowed`."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(daemon=True)
        self._descriptor = descriptor
        self.packets = 0
        self.allowed = 0
        self.ended = threading.Event()

    def run(self) -> None:
        """Feed."""
        rng = random.Random(1)
        while not self.ended.is_set():
            if self.packets + BLOCK > self.allowed:
                time.sleep(0.005)
                continue
            block = "".join(log_line(rng, self.packets + packet) for packet in range(BLOCK)).encode()
            view = memoryview(block)
            while view:
                view = view[os.write(self._descriptor, view) :]
            self.packets += BLOCK
        os.close(self._descriptor)


def under_load(folder: Path, length_s: float) -> tuple[float, list[tuple[float, float]], float]:
    """Return the peak, (hours, MB) samples behind the outage, and packets per second."""
    broker, database = servers(folder)
    gateway = Gateway(folder / "gateway")
    gateway.configure(configuration(broker=broker, database=database))
    reading, writing = os.pipe()
    samples: list[tuple[float, float]] = []
    try:
        process = gateway.start("replay", "-", "--speed", "max", stdin=reading)
        os.close(reading)
        os.write(writing, FIRST_LINE)
        connected(gateway, "mqtt", "influxdb")
        feeder = Feeder(writing)
        feeder.start()
        began_s = time.monotonic()
        down, back, rate = False, False, 0.0
        while (now_s := time.monotonic() - began_s) < length_s:
            if not back and not down and now_s > 0.2 * length_s:
                rate, down = feeder.packets / now_s, True
                broker.kill9()
                database.stop()
                down_packets, down_s = feeder.packets, now_s
            if down and now_s > 0.35 * length_s:
                down, back = False, True
                broker.start()
                database.start()
            if down:
                feeder.allowed = int(down_packets + rate * (now_s - down_s))
            else:
                sinks = gateway.ask()["sinks"]
                settled = min(sink["accepted"] - sink["queued"] for sink in sinks.values())
                feeder.allowed = settled + AHEAD
            if now_s > 0.6 * length_s:
                samples.append((now_s / 3600, kilobytes(process.pid, "VmRSS") / 1024))
            time.sleep(LOOK_S)
        feeder.ended.set()
        feeder.join()
        packets_per_s = feeder.packets / length_s
        gateway.until(lambda s: all(sink["queued"] == 0 for sink in s["sinks"].values()), "the rest", 300)
        peak = kilobytes(process.pid, "VmHWM") / 1024
        assert gateway.stop() == 0
        return peak, samples, packets_per_s
    finally:
        gateway.end()
        broker.stop()
        database.stop()


def slope(samples: list[tuple[float, float]]) -> float:
    """Return the median of the slopes between all pairs: a single step does not move it."""
    step = max(1, len(samples) // 400)
    pairs = combinations(samples[::step], 2)
    return statistics.median((later[1] - earlier[1]) / (later[0] - earlier[0]) for earlier, later in pairs)


def run(report: Report, folder: Path, *, short: bool) -> None:
    """Measure rest, then load."""
    rest = at_rest(folder / "rest", http=False)
    report.add("rss_rest_mb", rest, "both sinks connected, HTTP off")
    report.add("rss_rest_http_mb", at_rest(folder / "rest-http", http=True), f"HTTP on; off {number(rest)}")
    length_s = 60.0 if short else 1800.0
    peak, samples, rate = under_load(folder / "load", length_s)
    report.add("rss_peak_mb", peak, f"{length_s / 60:g} min at full rate ({rate:,.0f} packets/s), both servers away for 15 % of it")
    sizes = [megabytes for _, megabytes in samples]
    report.add(
        "rss_slope_mb_per_hour",
        slope(samples),
        f"last 40 % of the same run; {number(min(sizes))} to {number(max(sizes))} MB"
        + ("; a minute says little about an hour" if short else ""),
    )
