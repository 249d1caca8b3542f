"""Alerts: dosing documents that wait in sessions of Mosquitto, into the journal and a history, without alerts and with the plant's.

Both gateways find the same messages. A message counts once the history has it, and with alerts once it is judged too. The clock does not
run for the last fifth: at the end each sink waits a while for more messages. Which of the two comes first changes with each round.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from figures import Report, number, spread
from gateways import Gateway
from ingest import JOURNAL_BYTES, POLL_S, cpu_s
from peers import ALERTS, Bare, QuietMosquitto

RULES = {"dosing_inaccurate": 20, "dose_off": 20, "plant_silent": 1}
"""The rules that such documents concern, and how many series of each there are."""


@dataclass(slots=True)
class Measured:
    """What one run showed."""

    messages_per_s: float
    cpu_us: float
    """CPU time of the gateway per message, in microseconds."""


def run(report: Report, folder: Path, *, short: bool) -> None:
    """Add the figures."""
    messages, rounds = (200_000, 4) if short else (400_000, 8)
    without, judged = [], []
    for turn in range(rounds):
        both = one(folder / str(turn), messages, alerts_first=bool(turn % 2))
        without.append(both[""])
        judged.append(both[ALERTS])
        shutil.rmtree(folder / str(turn))
    bare = [measured.messages_per_s for measured in without]
    rates = [measured.messages_per_s for measured in judged]
    beside = f"without {statistics.median(bare):,.0f}/s ({spread(bare)})"
    report.add("alerts_messages_per_s", statistics.median(rates), f"{beside}; {spread(rates)}")
    report.add("alerts_vs_none", statistics.median(rates) / statistics.median(bare), beside)
    cost = [measured.cpu_us for measured in without]
    report.add(
        "alerts_cpu_vs_none",
        statistics.median(measured.cpu_us for measured in judged) / statistics.median(cost),
        f"without {number(statistics.median(cost))} us of CPU per message ({spread(cost)})",
    )


def one(folder: Path, messages: int, *, alerts_first: bool) -> dict[str, Measured]:
    """Measure both once, at a broker of their own."""
    (folder / "broker").mkdir(parents=True)
    broker = QuietMosquitto(folder / "broker", extra="max_queued_bytes 0").start()
    order = [ALERTS, ""] if alerts_first else ["", ALERTS]
    try:
        for client in range(len(order)):
            with Bare("ingest-prepare", mqtt=broker.port, client=f"gateway-{client}"):
                pass
        with Bare("ingest-fill", mqtt=broker.port, count=messages, start=int(time.time())):
            pass
        return {alerts: take(folder / f"gateway-{client}", broker, messages, alerts=alerts) for client, alerts in enumerate(order)}
    finally:
        broker.stop()


def take(folder: Path, broker: QuietMosquitto, messages: int, *, alerts: str) -> Measured:
    """Let a gateway take what waits in the session that is called as its folder."""
    gateway = Gateway(folder)
    gateway.configure(
        f'[mqtt_consumer]\nbroker_url = "{broker.url}"\ntopics = ["factory/#"]\nprofile = "factory-dosing"\nclient_id = "{folder.name}"\n'
        f'[history]\npath = "history.db"\n{alerts}',
        journal_keys=f"max_bytes = {JOURNAL_BYTES}\n",
    )
    try:
        process = gateway.start("run")
        measured = watch(gateway, process, messages)
        status = gateway.ask()
        assert status["intake"]["accepted"] == messages
        assert status["intake"]["rejected"] == 0
        if alerts:
            told = gateway.ask("alerts")
            series = {rule["name"]: rule["series"] for rule in told["rules"]}
            assert {name: series[name] for name in RULES} == RULES, series
            assert (told["late"], told["beyond_max_series"]) == (0, 0)
        assert gateway.stop() == 0
        return measured
    finally:
        gateway.end()


def watch(gateway: Gateway, process: subprocess.Popen[bytes], messages: int) -> Measured:
    """Measure from the first look that shows messages with every sink: the time to four fifths of all, the CPU time to all."""
    first_s, first_cpu_s, first = 0.0, 0.0, 0
    rate = 0.0
    while True:
        try:
            sinks = gateway.ask()["sinks"]
        except OSError:
            time.sleep(POLL_S)
            continue
        now_s = time.monotonic()
        count = min(sink["delivered"] for sink in sinks.values())
        if count and not first:
            first_s, first_cpu_s, first = now_s, cpu_s(process), count
        if count >= 0.8 * messages and not rate:
            rate = (count - first) / max(now_s - first_s, 1e-9)
        if count >= messages:
            return Measured(rate, (cpu_s(process) - first_cpu_s) / max(messages - first, 1) * 1e6)
        time.sleep(POLL_S)
