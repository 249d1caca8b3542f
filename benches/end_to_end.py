"""End to end: a packet stream into Mosquitto and VictoriaMetrics at once, against the bare clients with everything rendered before.

Both sides are connected when the clock starts; it stops when the subscriber has every message and the database has confirmed every
line. A third side is the gateway with the alerts of the LoRa bridge; the clock does not wait for these, but they need the same cores.
"""

from __future__ import annotations

import fcntl
import os
import statistics
import threading
import time
from pathlib import Path

from documents import METRICS, write_log
from figures import Report, spread
from gateways import Gateway
from peers import ALERTS, PROFILE, Bare, configuration, connected, servers

PIPE_BYTES = 1 << 20
FIRST_LINE = b"[INFO] boot\n"
"""Not a document: `replay -` looks at the first bytes before it does anything else."""


def feed(descriptor: int, text: bytes) -> None:
    """Write everything; the reader sets the pace."""
    view = memoryview(text)
    while view:
        view = view[os.write(descriptor, view[:PIPE_BYTES]) :]
    os.close(descriptor)


def through_the_gateway(folder: Path, log: Path, packets: int, *, alerts: bool = False) -> tuple[float, float]:
    """Return packets per second, and crossings a frame."""
    broker, database = servers(folder)
    gateway = Gateway(folder / "gateway")
    gateway.configure(configuration(broker=broker, database=database) + ALERTS * alerts)
    text = log.read_bytes()
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    try:
        with Bare("count", mqtt=broker.port, until=packets * METRICS) as subscriber:
            gateway.start("replay", "-", "--speed", "max", stdin=reading)
            os.close(reading)
            os.write(writing, FIRST_LINE)
            connected(gateway, "mqtt", "influxdb")
            before = gateway.ask()["gateway"]["crossings"]
            began_s = time.monotonic()
            feeder = threading.Thread(target=feed, args=(writing, text))
            feeder.start()
            reached = subscriber.expect("reached")
            while gateway.ask()["sinks"]["influxdb"]["delivered"] < packets:
                time.sleep(0.01)
            took_s = time.monotonic() - began_s
            feeder.join()
            database.expect_rows(packets * METRICS)
            status = gateway.until(lambda s: all(sink["delivered"] == packets for sink in s["sinks"].values()), "the ledger")
            assert reached == [str(packets * METRICS), "disorder", "0"], reached
            assert ("alerts" in status["sinks"]) == alerts
            assert gateway.stop() == 0
        return packets / took_s, (status["gateway"]["crossings"] - before) / packets
    finally:
        gateway.end()
        broker.stop()
        database.stop()


def bare(folder: Path, log: Path, packets: int) -> float:
    """Return packets a second of the bare clients."""
    broker, database = servers(folder)
    try:
        with (
            Bare("count", mqtt=broker.port, until=packets * METRICS) as subscriber,
            Bare("flood", log=log, profile=PROFILE, mqtt=broker.port, url=database.write_url) as flood,
        ):
            began_s = flood.go()
            reached = subscriber.expect("reached")
            for word in ("published", "posted"):
                flood.expect(word)
            took_s = time.monotonic() - began_s
            assert reached == [str(packets * METRICS), "disorder", "0"], reached
            database.expect_rows(packets * METRICS)
        return packets / took_s
    finally:
        broker.stop()
        database.stop()


def run(report: Report, folder: Path, *, short: bool) -> None:
    """Measure in turn, the order changing from round to round."""
    packets = 20_000 if short else 60_000
    log = write_log(folder / "packets.log", packets)
    rates, bares, judged, crossings = [], [], [], []
    sides = ("bare", "gateway", "alerts")
    for turn in range(3 if short else 5):
        for side in sides[turn % 3 :] + sides[: turn % 3]:
            place = folder / f"{side}-{turn}"
            if side == "bare":
                bares.append(bare(place, log, packets))
            elif side == "alerts":
                judged.append(through_the_gateway(place, log, packets, alerts=True)[0])
            else:
                rate, crossed = through_the_gateway(place, log, packets)
                rates.append(rate)
                crossings.append(1000 * crossed)
    ratios = [rate / other for rate, other in zip(rates, bares, strict=True)]
    shape = f"{packets} packets, {METRICS} topics, QoS 1, one subscriber, journal on"
    report.add("end_to_end_packets_per_s", statistics.median(rates), f"{shape}; {spread(rates)}")
    report.add(
        "end_to_end_vs_bare",
        statistics.median(ratios),
        f"bare clients, both at once, {statistics.median(bares):,.0f} packets/s; ratios {spread(ratios)}",
    )
    with_alerts = [rate / other for rate, other in zip(judged, rates, strict=True)]
    report.add(
        "end_to_end_with_alerts_vs_none",
        statistics.median(with_alerts),
        f"{statistics.median(judged):,.0f} packets/s; ratios {spread(with_alerts)}",
    )
    report.add("crossings_per_1000_frames", statistics.median(crossings), f"the same runs; {spread(crossings)}")
