"""Backlog: a journal full of frames and the database alone, against posting pre-rendered bodies with the same client.

The journal is filled once while no database is there, and copied for each round. The clock runs from the first confirmed batch to
the last whole one: neither waiting for the database nor the second that an unfinished batch waits for more lines is in the figure.
"""

from __future__ import annotations

import os
import shutil
import statistics
import time
from pathlib import Path

from documents import METRICS, write_log
from figures import Report, spread
from gateways import Gateway
from peers import PROFILE, Bare, CountingDatabase, configuration
from servers import free_port

JOURNAL_BYTES = 4 << 30
POLL_S = 0.05
BATCH_POINTS = 5004
"""Whole frames until there are 5,000 lines."""


def database_in(folder: Path) -> CountingDatabase:
    """Make a database that is not started yet."""
    (folder / "database").mkdir(parents=True)
    return CountingDatabase(folder / "database")


def watch(gateway: Gateway, points: int) -> float:
    """Return points per second from the first confirmed batch to the last whole one."""
    first_s, first = 0.0, 0
    while True:
        now_s, confirmed = time.monotonic(), gateway.ask()["sinks"]["influxdb"]["delivered"] * METRICS
        if confirmed and not first:
            first_s, first = now_s, confirmed
        if confirmed > points - BATCH_POINTS:
            return (confirmed - first) / (now_s - first_s)
        time.sleep(POLL_S)


def fill(folder: Path, log: Path, packets: int) -> Gateway:
    """Return a stopped gateway with all packets in its journal."""
    gateway = Gateway(folder / "filled")
    nobody = f"http://127.0.0.1:{free_port()}"
    gateway.configure(configuration(database=nobody), journal_keys=f"max_bytes = {JOURNAL_BYTES}\n")
    gateway.start("replay", str(log), "--speed", "max")
    gateway.until(
        lambda s: s["source"]["replay"]["state"] == "finished" and s["sinks"]["influxdb"]["queued"] == packets,
        "the backlog",
        300,
    )
    assert gateway.stop() == 0
    return gateway


def through_the_gateway(folder: Path, filled: Gateway, points: int) -> float:
    """Return points per second."""
    gateway = Gateway(folder / "gateway")
    database = database_in(folder)
    shutil.copy(filled.journal, gateway.journal)
    controller, device = os.openpty()
    source = f'[serial]\nport = "{os.ttyname(device)}"\n'
    gateway.configure(configuration(database=database) + source, journal_keys=f"max_bytes = {JOURNAL_BYTES}\n")
    try:
        gateway.start("run")
        gateway.until(lambda s: s["sinks"]["influxdb"]["state"] in ("connecting", "disconnected"), "the sink")
        database.start()
        rate = watch(gateway, points)
        gateway.until(lambda s: s["sinks"]["influxdb"]["delivered"] * METRICS == points, "the ledger")
        database.expect_rows(points)
        assert gateway.stop() == 0
        return rate
    finally:
        gateway.end()
        database.stop()
        os.close(controller)
        os.close(device)
        shutil.rmtree(folder)


def bare(folder: Path, log: Path, points: int) -> float:
    """Return points a second of the bare client."""
    database = database_in(folder).start()
    try:
        with Bare("flood", log=log, profile=PROFILE, url=database.write_url) as flood:
            flood.go()
            rate = points / float(flood.expect("posted")[0])
            database.expect_rows(points)
        return rate
    finally:
        database.stop()
        shutil.rmtree(folder)


def run(report: Report, folder: Path, *, short: bool) -> None:
    """Measure in turn, the order changing from round to round."""
    packets = 200_000 if short else 1_000_000
    log = write_log(folder / "packets.log", packets)
    filled = fill(folder, log, packets)
    rates, bares = [], []
    for turn in range(3):
        for side in ("gateway", "bare") if turn % 2 else ("bare", "gateway"):
            place = folder / f"{side}-{turn}"
            if side == "bare":
                bares.append(bare(place, log, packets * METRICS))
            else:
                rates.append(through_the_gateway(place, filled, packets * METRICS))
    ratios = [rate / other for rate, other in zip(rates, bares, strict=True)]
    report.add("backlog_points_per_s", statistics.median(rates), f"{packets:,} frames in the journal; {spread(rates)}")
    report.add(
        "backlog_vs_bare",
        statistics.median(ratios),
        f"bare client, pre-rendered bodies, {statistics.median(bares):,.0f} points/s; ratios {spread(ratios)}",
    )
