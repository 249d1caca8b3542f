"""Latency: a line written to a serial port until the subscriber has its last message, interleaved with bare publishes.

A third lane tells how much of that is the way of any line, with no gateway on it: a thread of the bare program reads another port and
publishes messages that were rendered before.
"""

from __future__ import annotations

import os
import statistics
import tty
from contextlib import ExitStack
from pathlib import Path

from documents import write_log
from figures import Report, spread
from gateways import Gateway
from peers import PROFILE, Bare, configuration, connected, servers

RATE = 100
LANES = ("gateway", "relay", "bare")


def port(stack: ExitStack) -> tuple[int, str]:
    """Make a pseudo terminal; return the end to write to, and the name of the other."""
    controller, device = os.openpty()
    tty.setraw(device)
    for descriptor in (controller, device):
        stack.callback(os.close, descriptor)
    return controller, os.ttyname(device)


def once(folder: Path, log: Path) -> dict[str, list[float]]:
    """Return p50, p99 and the greatest of each lane, in milliseconds."""
    with ExitStack() as stack:
        broker, database = servers(folder)
        stack.callback(database.stop)
        stack.callback(broker.stop)
        gateway = Gateway(folder / "gateway")
        stack.callback(gateway.end)
        (line_in, device), (relay_in, relay) = port(stack), port(stack)
        gateway.configure(configuration(broker=broker, database=database) + f'[serial]\nport = "{device}"\n')
        gateway.start("run")
        connected(gateway, "mqtt", "influxdb")
        gateway.until(lambda s: s["source"]["serial"]["state"] == "running", "the port")
        settings = {"log": log, "profile": PROFILE, "mqtt": broker.port, "rate": RATE}
        ports = {"fd": line_in, "relay-fd": relay_in, "relay": relay}
        with Bare("latency", pass_fds=(line_in, relay_in), **settings, **ports) as program:
            program.go()
            lanes = {name: [float(word) for word in program.expect(name)] for name in LANES}
        assert gateway.stop() == 0
        return lanes


def run(report: Report, folder: Path, *, short: bool) -> None:
    """Measure several times and take the medians."""
    log = write_log(folder / "packets.log", 600 if short else 2100)
    rounds = [once(folder / str(turn), log) for turn in range(3)]

    def median(lane: str, at: int) -> float:
        return statistics.median(lanes[lane][at] for lanes in rounds)

    def ratio(name: str, other: str, what: str) -> None:
        ratios = [lanes["gateway"][1] / lanes[other][1] for lanes in rounds]
        beside = f"99th percentiles {median('gateway', 1):.3f} ms, {what} {median(other, 1):.3f} ms; {spread(ratios)}"
        report.add(name, statistics.median(ratios), beside)

    added = [lanes["gateway"][0] - lanes["bare"][0] for lanes in rounds]
    medians = ", ".join(f"{lane} {median(lane, 0):.3f} ms" for lane in LANES)
    report.add("latency_added_p50_ms", statistics.median(added), f"{RATE} packets/s; medians {medians}; {spread(added)}")
    ratio("latency_p99_vs_bare", "bare", "bare")
    ratio("latency_p99_vs_relay", "relay", "a relay that reads the port and publishes what was rendered before")
