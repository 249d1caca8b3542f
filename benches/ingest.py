"""Ingest: dosing documents that wait in a session of Mosquitto, into the journal, synced and acknowledged; against a bare subscriber.

The bare subscriber has the same client library, acknowledges every two milliseconds and keeps nothing. Both find the same messages
in sessions of their own. What the machine has left once a database works on it too, a third session shows: the bare subscriber takes it
while a bare poster beside it posts the lines of the same messages, rendered before.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from figures import Report, number, spread
from gateways import Gateway
from memory import kilobytes
from peers import PROFILE, Bare, CountingDatabase, QuietMosquitto

FIELDS = 4
DOSING = PROFILE.with_name("factory-dosing.toml")
POLL_S = 0.02
JOURNAL_BYTES = 2 << 30
TELEGRAF = "Telegraf: 43 us of CPU per message"
"""The cost of Telegraf for the same work, measured once on another machine."""


@dataclass(slots=True)
class Measured:
    """What one run showed."""

    bare: float
    """Messages per second of the bare subscriber."""
    both: float
    """The same with the poster beside it, until both have ended; 0 without a database."""
    gateway: float
    """Messages per second of the gateway."""
    peak_mb: float
    cpu_us: dict[str, float]
    """CPU time per message of each process, in microseconds, while the gateway worked."""


def run(report: Report, folder: Path, *, short: bool) -> None:
    """Add the figures."""
    messages, rounds = (100_000, 3) if short else (400_000, 5)
    alone, through = [], []
    for turn in range(rounds):
        place = folder / str(turn)
        alone.append(one(place / "alone", messages, with_database=False))
        through.append(one(place / "database", messages, with_database=True))
        shutil.rmtree(place)
    bares = [measured.bare for measured in alone + through]
    limit = statistics.median(bares)
    beside = f"bare {limit:,.0f}/s ({spread(bares)})"
    rates = [measured.gateway for measured in alone]
    report.add("ingest_messages_per_s", statistics.median(rates), f"{beside}; {spread(rates)}")
    report.add("ingest_vs_bare", statistics.median(rates) / limit, beside)
    rates, both = [measured.gateway for measured in through], [measured.both for measured in through]
    report.add("ingest_to_database_vs_bare", statistics.median(rates) / limit, f"{statistics.median(rates):,.0f}/s ({spread(rates)})")
    share, beside = (
        statistics.median(both) / limit,
        f"a bare subscriber and a bare poster {statistics.median(both):,.0f}/s ({spread(both)})",
    )
    cpu_us = {name: statistics.median(measured.cpu_us[name] for measured in through) for name in through[0].cpu_us}
    costs = ", ".join(f"{name} {number(figure)}" for name, figure in cpu_us.items())
    report.add(
        "ingest_to_database_vs_both",
        statistics.median(rates) / statistics.median(both),
        f"{beside}, {share:.2f} of bare; us of CPU per message: {costs}",
    )
    cpu = [measured.cpu_us["gateway"] for measured in alone]
    report.add("ingest_cpu_us_per_message", statistics.median(cpu), f"{spread(cpu)}; {TELEGRAF}")
    report.add("ingest_rss_peak_mb", max(measured.peak_mb for measured in alone + through), "")


def one(folder: Path, messages: int, *, with_database: bool) -> Measured:
    """Measure once, with servers of its own."""
    (folder / "broker").mkdir(parents=True)
    broker = QuietMosquitto(folder / "broker", extra="max_queued_bytes 0").start()
    database = None
    gateway = Gateway(folder / "gateway")
    clients = ["bare", "gateway"] + ["both"] * with_database
    start_s = int(time.time())
    both = 0.0
    try:
        for client in clients:
            with Bare("ingest-prepare", mqtt=broker.port, client=client):
                pass
        with Bare("ingest-fill", mqtt=broker.port, count=messages, start=start_s):
            pass
        with Bare("ingest", mqtt=broker.port, client="bare", until=messages) as bare:
            bare.go()
            bare_rate = messages / float(bare.expect("took")[0])
        if with_database:
            # A database of its own, so that both begin with an empty one.
            for name in ("both", "database"):
                (folder / name).mkdir()
            with CountingDatabase(folder / "both") as other:
                posting = {"url": other.write_url, "profile": DOSING, "start": start_s}
                with Bare("ingest", mqtt=broker.port, client="both", until=messages, **posting) as bare:
                    bare.go()
                    both = messages / float(bare.expect("took")[1])
                other.expect_rows(messages * FIELDS)
            database = CountingDatabase(folder / "database").start()
        sink = f'[influxdb]\nurl = "{database.url}"\norg = "bench"\nbucket = "bench"\ntoken = "bench"\n' if database else ""
        source = (
            f'[mqtt_consumer]\nbroker_url = "{broker.url}"\ntopics = ["factory/#"]\nprofile = "factory-dosing"\nclient_id = "gateway"\n'
        )
        gateway.configure(
            source + sink,
            journal_keys=f"max_bytes = {JOURNAL_BYTES}\n",
        )
        processes = {"broker": broker.process, **({"database": database.process} if database else {})}
        before_s = {name: cpu_s(process) for name, process in processes.items()}
        processes["gateway"] = process = gateway.start("run")
        rate = watch(gateway, messages, with_database=with_database)
        cpu_us = {name: (cpu_s(process) - before_s.get(name, 0.0)) / messages * 1e6 for name, process in processes.items()}
        peak_mb = kilobytes(process.pid, "VmHWM") / 1024
        assert gateway.ask()["intake"]["accepted"] == messages
        assert gateway.stop() == 0
        if database:
            database.expect_rows(messages * FIELDS)
        return Measured(bare_rate, both, rate, peak_mb, cpu_us)
    finally:
        gateway.end()
        broker.stop()
        if database:
            database.stop()


def cpu_s(process: subprocess.Popen[bytes] | None) -> float:
    """Return the CPU time that a process has taken, in seconds."""
    assert process is not None
    words = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, words[11:13])) / os.sysconf("SC_CLK_TCK")


def watch(gateway: Gateway, messages: int, *, with_database: bool) -> float:
    """Return messages per second, from the first look that shows some to the last."""
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
