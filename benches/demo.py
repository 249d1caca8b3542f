"""The demo as it is left running: resident memory, its slope at 1,000 packets per second, and how soon the page's API answers."""

from __future__ import annotations

import json
import re
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from figures import Report, number
from gateways import Gateway, assert_balanced
from iiot_gateway.cli.demo import CONFIGS
from memory import kilobytes, slope
from servers import until

RATE = 1000
NODES = 50
LOOK_S = 1.0


class Demo:
    """A running demo."""

    def __init__(self, folder: Path) -> None:
        self.gateway = Gateway(folder)
        self.gateway.journal = folder / "journal.db"
        self.log = folder / "demo.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "iiot_gateway", "demo", "--folder", str(folder)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        until(lambda: "Ctrl-C ends it" in self.log.read_text(), "the greeting")
        found = re.search(r"page +(http://\S+)", self.log.read_text())
        assert found is not None
        self.page = found[1]

    def answer_ms(self) -> float:
        """Ask for the latest values, and return how long that took."""
        began_s = time.perf_counter()
        with urllib.request.urlopen(f"{self.page}api/v1/latest", timeout=30) as answer:
            assert json.load(answer)["series"]
        return (time.perf_counter() - began_s) * 1000

    def megabytes(self) -> float:
        """Return what is resident."""
        return kilobytes(self.process.pid, "VmRSS") / 1024

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(10) == 0, self.log.read_text()[-2000:]


def at_rest(folder: Path) -> float:
    """Return the megabytes of the demo as it comes, half a minute old, with its page asked now and then."""
    folder.mkdir()
    demo = Demo(folder)
    try:
        for _ in range(30):
            demo.answer_ms()
            time.sleep(LOOK_S)
        megabytes = demo.megabytes()
        demo.interrupt()
        return megabytes
    finally:
        demo.process.kill()


def left_running(folder: Path, length_s: float) -> tuple[list[tuple[float, float]], list[float], int]:
    """Return (hours, MB) samples of the second half, the answer times in ms, and how many frames came."""
    folder.mkdir()
    (folder / "config.toml").write_text(
        CONFIGS["nodes"].replace("nodes = 3", f"nodes = {NODES}").replace("rate_per_s = 3", f"rate_per_s = {RATE}")
    )
    demo = Demo(folder)
    samples, answers = [], []
    try:
        began_s = time.monotonic()
        while (now_s := time.monotonic() - began_s) < length_s:
            answers.append(demo.answer_ms())
            if now_s > length_s / 2:
                samples.append((now_s / 3600, demo.megabytes()))
            time.sleep(LOOK_S)
        demo.interrupt()
        status = demo.gateway.status()
        assert_balanced(status)
        return samples, answers, int(status["intake"]["accepted"])
    finally:
        demo.process.kill()


def run(report: Report, folder: Path, *, short: bool) -> None:
    """Measure rest, then load."""
    report.add("rss_demo_mb", at_rest(folder / "rest"), "page, history, broker and three nodes; its API asked each second")
    length_s = 60.0 if short else 600.0
    samples, answers, frames = left_running(folder / "load", length_s)
    sizes = [megabytes for _, megabytes in samples]
    report.add(
        "demo_slope_mb_per_hour",
        slope(samples),
        f"{length_s / 60:g} min at {RATE} packets/s ({frames:,} frames, ledger balanced); {number(min(sizes))} to {number(max(sizes))} MB",
    )
    report.add(
        "demo_answer_p50_ms",
        statistics.median(answers),
        f"/api/v1/latest in the same run; 99th percentile {number(statistics.quantiles(answers, n=100)[98])} ms",
    )
