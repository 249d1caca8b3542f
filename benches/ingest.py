"""Ingest: dosing documents that wait in a session of Mosquitto, into the journal, synced and acknowledged; against a bare subscriber.

The bare subscriber has the same client library, acknowledges every two milliseconds and keeps nothing. Both find the same messages
in sessions of their own.
"""

from __future__ import annotations

import os
import shutil
import statistics
import time
from pathlib import Path

from figures import Report, spread
from gateways import Gateway
from memory import kilobytes
from peers import Bare, CountingDatabase, QuietMosquitto

FIELDS = 4
POLL_S = 0.02
JOURNAL_BYTES = 2 << 30
TELEGRAF = "Telegraf: 43 us of CPU per message"
"""facts/peers.md, on another machine."""


def run(report: Report, folder: Path, *, short: bool) -> None:
    """Add the figures."""
    messages, rounds = (100_000, 3) if short else (400_000, 5)
    alone, through, bares, cpu, peaks = [], [], [], [], []
    for number in range(rounds):
        place = folder / str(number)
        bare, rate, cpu_us, peak = one(place / "alone", messages, with_database=False)
        bares.append(bare)
        alone.append(rate)
        cpu.append(cpu_us)
        peaks.append(peak)
        bare, rate, _cpu_us, peak = one(place / "database", messages, with_database=True)
        bares.append(bare)
        through.append(rate)
        peaks.append(peak)
        shutil.rmtree(place)
    limit = statistics.median(bares)
    beside = f"bare {limit:,.0f}/s ({spread(bares)})"
    report.add("ingest_messages_per_s", statistics.median(alone), f"{beside}; {spread(alone)}")
    report.add("ingest_vs_bare", statistics.median(alone) / limit, beside)
    report.add("ingest_to_database_vs_bare", statistics.median(through) / limit, f"{statistics.median(through):,.0f}/s ({spread(through)})")
    report.add("ingest_cpu_us_per_message", statistics.median(cpu), f"{spread(cpu)}; {TELEGRAF}")
    report.add("ingest_rss_peak_mb", max(peaks), "")


def one(folder: Path, messages: int, *, with_database: bool) -> tuple[float, float, float, float]:
    """Return messages a second of the bare subscriber and of the gateway, its CPU time per message in microseconds, and its peak in MB."""
    (folder / "broker").mkdir(parents=True)
    broker = QuietMosquitto(folder / "broker", extra="max_queued_bytes 0").start()
    database = None
    if with_database:
        (folder / "database").mkdir()
        database = CountingDatabase(folder / "database").start()
    gateway = Gateway(folder / "gateway")
    sink = f'[influxdb]\nurl = "{database.url}"\norg = "bench"\nbucket = "bench"\ntoken = "bench"\n' if database else ""
    gateway.configure(
        f'[mqtt_consumer]\nbroker_url = "{broker.url}"\ntopics = ["factory/#"]\nprofile = "factory-dosing"\nclient_id = "gateway"\n{sink}',
        journal_keys=f"max_bytes = {JOURNAL_BYTES}\n",
    )
    try:
        for client in ("bare", "gateway"):
            with Bare("ingest-prepare", mqtt=broker.port, client=client):
                pass
        with Bare("ingest-fill", mqtt=broker.port, count=messages, start=int(time.time())):
            pass
        with Bare("ingest", mqtt=broker.port, client="bare", until=messages) as bare:
            bare.go()
            bare_rate = messages / float(bare.expect("took")[0])
        process = gateway.start("run")
        rate = watch(gateway, messages, with_database=with_database)
        ticks = sum(int(word) for word in Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13])
        cpu_us = ticks / os.sysconf("SC_CLK_TCK") / messages * 1e6
        peak_mb = kilobytes(process.pid, "VmHWM") / 1024
        assert gateway.ask()["intake"]["accepted"] == messages
        assert gateway.stop() == 0
        if database:
            database.expect_rows(messages * FIELDS)
        return bare_rate, rate, cpu_us, peak_mb
    finally:
        gateway.end()
        broker.stop()
        if database:
            database.stop()


def watch(gateway: Gateway, messages: int, *, with_database: bool) -> float:
    """Return messages a second, from the first look that shows some to the last."""
    first_s, first = 0.0, 0
    while True:
        try:
            status = gateway.ask()
        except OSError:
            time.sleep(POLL_S)
            continue
        now_s = time.monotonic()
        assert status["intake"]["rejected"] == 0
        count = status["sinks"]["influxdb"]["delivered"] if with_database else status["intake"]["accepted"]
        if count and not first:
            first_s, first = now_s, count
        if count >= messages:
            return (count - first) / max(now_s - first_s, 1e-9)
        time.sleep(POLL_S)
