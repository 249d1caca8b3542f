"""Latency: a line written to a serial port until the subscriber has its last message, interleaved with bare publishes."""

from __future__ import annotations

import os
import statistics
import tty
from pathlib import Path

from documents import write_log
from figures import Report, spread
from gateways import Gateway
from peers import PROFILE, Bare, configuration, connected, servers

RATE = 100


def once(folder: Path, log: Path) -> dict[str, list[float]]:
    """Return p50, p99 and the greatest of both lanes, in milliseconds."""
    broker, database = servers(folder)
    controller, device = os.openpty()
    tty.setraw(device)
    gateway = Gateway(folder / "gateway")
    source = f'[serial]\nport = "{os.ttyname(device)}"\n'
    gateway.configure(configuration(broker=broker, database=database) + source)
    try:
        gateway.start("run")
        connected(gateway, "mqtt", "influxdb")
        gateway.until(lambda s: s["source"]["serial"]["state"] == "running", "the port")
        with Bare("latency", pass_fds=(controller,), log=log, profile=PROFILE, mqtt=broker.port, fd=controller, rate=RATE) as program:
            program.go()
            lanes = {name: [float(word) for word in program.expect(name)] for name in ("gateway", "bare")}
        assert gateway.stop() == 0
        return lanes
    finally:
        gateway.end()
        broker.stop()
        database.stop()
        os.close(controller)
        os.close(device)


def run(report: Report, folder: Path, *, short: bool) -> None:
    """Measure several times and take the medians."""
    log = write_log(folder / "packets.log", 600 if short else 2100)
    rounds = [once(folder / str(turn), log) for turn in range(3)]
    added = [lanes["gateway"][0] - lanes["bare"][0] for lanes in rounds]
    ratios = [lanes["gateway"][1] / lanes["bare"][1] for lanes in rounds]

    def median(lane: str, at: int) -> float:
        return statistics.median(lanes[lane][at] for lanes in rounds)

    report.add(
        "latency_added_p50_ms",
        statistics.median(added),
        f"{RATE} packets/s; medians {median('gateway', 0):.3f} ms, bare {median('bare', 0):.3f} ms; {spread(added)}",
    )
    report.add(
        "latency_p99_vs_bare",
        statistics.median(ratios),
        f"99th percentiles {median('gateway', 1):.3f} ms, bare {median('bare', 1):.3f} ms; {spread(ratios)}",
    )
