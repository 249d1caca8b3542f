"""A fleet: one, two and four workers of a share, each bound by a database that answers slowly, as a far or busy one does.

Two cores cannot show that four workers compute four times as much. What is shown is that nothing between broker and database is shared by
the workers: the rate rises with their number, and a message costs each of them the same CPU time.
"""

from __future__ import annotations

import gzip
import shutil
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from figures import Report, number
from gateways import Gateway
from ingest import cpu_s
from peers import Bare, QuietMosquitto

ANSWER_S = 0.15
BATCH_LINES = 100
"""With the answer's time: at most 667 messages per second and worker."""
OFFERED = 720
"""Messages per second and worker that are published: a little more than it can deliver. Without this pace each of four workers would get
its messages four times as slowly as one worker does, in smaller batches, and that alone would cost more CPU time."""
WORKERS = (1, 2, 4)
POLL_S = 0.05


class SlowDatabase:
    """Takes lines, and answers when `ANSWER_S` have passed."""

    def __init__(self) -> None:
        self.lines = 0
        lock = threading.Lock()
        database = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                self.answer()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                time.sleep(ANSWER_S)  # what is measured beside it
                with lock:
                    database.lines += body.count(b"\n")
                self.answer()

            def answer(self) -> None:
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


def run(report: Report, folder: Path, *, short: bool) -> None:
    """Add the figures."""
    seconds, rounds = (12, 1) if short else (30, 3)
    rates: dict[int, list[float]] = {count: [] for count in WORKERS}
    costs: dict[int, list[float]] = {count: [] for count in WORKERS}
    apart: list[float] = []
    each = int(seconds * BATCH_LINES / ANSWER_S)
    for turn in range(rounds):
        for count in WORKERS:
            rate, cost = one(folder / f"{turn}-{count}", ["store"] * count, each)
            rates[count].append(rate)
            costs[count].append(cost)
        apart.append(one(folder / f"{turn}-apart", [f"store-{number}" for number in range(WORKERS[-1])], each)[1])
    medians = {count: statistics.median(found) for count, found in rates.items()}
    beside = ", ".join(f"{count}: {medians[count]:,.0f}/s" for count in WORKERS)
    report.add(
        "fleet_messages_per_s_of_one", medians[1], f"a database that answers after {ANSWER_S * 1000:g} ms, {BATCH_LINES} lines at a time"
    )
    report.add("fleet_four_vs_one", medians[4] / medians[1], beside)
    cpu = {count: statistics.median(found) for count, found in costs.items()}
    beside = "CPU s per 100,000 messages: " + ", ".join(f"{count}: {number(cpu[count])}" for count in WORKERS)
    report.add("fleet_cpu_four_vs_one", cpu[4] / cpu[1], beside)
    alone = statistics.median(apart)
    report.add("fleet_cpu_four_vs_apart", cpu[4] / alone, f"four workers with a broker each: {number(alone)} CPU s")


def one(folder: Path, groups: list[str], each: int) -> tuple[float, float]:
    """Return messages per second of all workers together, and CPU seconds per 100,000 messages.

    There is a worker for each of `groups`, which gets `each` messages. A group has a broker and a publisher of its own. So workers of
    several groups keep the machine as busy as workers of one group do, and share only the database.
    """
    messages = each * len(groups)
    brokers: dict[str, QuietMosquitto] = {}
    database = SlowDatabase()
    workers = [Gateway(folder / f"worker-{number}") for number in range(len(groups))]

    def publish(group: str) -> None:
        size = groups.count(group)
        with Bare("ingest-fill", mqtt=brokers[group].port, count=each * size, start=int(time.time()), rate=OFFERED * size):
            pass

    try:
        for group in set(groups):
            (folder / group).mkdir(parents=True)
            brokers[group] = QuietMosquitto(folder / group, extra="max_queued_bytes 0").start()
        for worker, group in zip(workers, groups, strict=True):
            worker.configure(
                f'[mqtt_consumer]\nbroker_url = "{brokers[group].url}"\ntopics = ["$share/store/factory/#"]\nprotocol = "5"\n'
                'profile = "factory-dosing"\n'
                f'[influxdb]\nurl = "{database.url}"\norg = "bench"\nbucket = "bench"\ntoken = "bench"\nbatch_lines = {BATCH_LINES}\n'
            )
            worker.start("run")
            worker.until(lambda status: status["source"]["mqtt_consumer"]["state"] == "subscribed", "the subscription")
        before_s = sum(cpu_s(worker.process) for worker in workers)
        began_s, begun = time.monotonic(), database.lines
        with ThreadPoolExecutor() as publishers:
            list(publishers.map(publish, brokers))
        while database.lines < messages:
            time.sleep(POLL_S)
        rate = (messages - begun) / (time.monotonic() - began_s)
        cost = (sum(cpu_s(worker.process) for worker in workers) - before_s) / messages * 100_000
        assert database.lines == messages
        return rate, cost
    finally:
        for worker in workers:
            worker.end()
        for broker in brokers.values():
            broker.stop()
        database.stop()
        shutil.rmtree(folder)
