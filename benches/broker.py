"""The built-in broker: retained QoS 1 publishes per second on nine topics from one client, against Mosquitto in the same run."""

from __future__ import annotations

import os
import statistics
from pathlib import Path

from documents import METRICS, write_log
from figures import Report, spread
from gateways import Gateway
from peers import PROFILE, Bare, QuietMosquitto
from servers import free_port


def flooded(port: int, log: Path, packets: int) -> float:
    """Return publishes per second, from the first to the last acknowledgement."""
    with Bare("flood", log=log, profile=PROFILE, mqtt=port) as flood:
        flood.go()
        return packets * METRICS / float(flood.expect("published")[0])


def built_in(folder: Path, log: Path, packets: int) -> float:
    """Flood the broker of a gateway that has nothing else to do."""
    gateway, port = Gateway(folder / "gateway"), free_port()
    controller, device = os.openpty()
    gateway.configure(f'[mqtt]\nbroker_url = "embedded"\n[broker]\nlisten = "127.0.0.1:{port}"\n[serial]\nport = "{os.ttyname(device)}"\n')
    try:
        gateway.start("run")
        gateway.until(lambda s: s["sinks"]["mqtt"]["state"] == "connected", "the broker")
        rate = flooded(port, log, packets)
        assert gateway.stop() == 0
        return rate
    finally:
        gateway.end()
        os.close(controller)
        os.close(device)


def mosquitto(folder: Path, log: Path, packets: int) -> float:
    """Flood Mosquitto."""
    folder.mkdir(parents=True)
    broker = QuietMosquitto(folder).start()
    try:
        return flooded(broker.port, log, packets)
    finally:
        broker.stop()


def run(report: Report, folder: Path, *, short: bool) -> None:
    """Measure in turn, the order changing from round to round."""
    packets = 5_000 if short else 30_000
    log = write_log(folder / "packets.log", packets)
    rates: dict[str, list[float]] = {"built_in": [], "mosquitto": []}
    for turn in range(3):
        for side, flood in sorted({"built_in": built_in, "mosquitto": mosquitto}.items(), reverse=bool(turn % 2)):
            rates[side].append(flood(folder / f"{side}-{turn}", log, packets))
    report.add(
        "broker_qos1_publishes_per_s",
        statistics.median(rates["built_in"]),
        f"retained, {METRICS} topics; {spread(rates['built_in'])}; Mosquitto {statistics.median(rates['mosquitto']):,.0f}",
    )
