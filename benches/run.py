"""Measure everything and print it: run.py [--json FILE] [--short] [--only GROUP ...]."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import alerts
import backlog
import broker
import decode
import demo
import devices
import end_to_end
import fleet
import history
import ingest
import latency
import memory
import postgresql
from figures import GOALS, HEADING, Report
from servers import find_program

ROOT = Path(__file__).parent.parent
GROUPS = (
    "decode",
    "end_to_end",
    "backlog",
    "latency",
    "memory",
    "broker",
    "history",
    "ingest",
    "alerts",
    "postgresql",
    "devices",
    "fleet",
    "demo",
)


def output_of(*command: str) -> str:
    """Return the first line that a program prints, whatever its exit code."""
    program = find_program(command[0])
    if program is None:
        return f"{command[0]} is missing"
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False, cwd=ROOT)
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0] if lines else ""


def machine() -> dict[str, str]:
    """Return what a figure means nothing without."""
    from iiot_gateway import _native

    model = next(
        (line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")),
        platform.machine(),
    )
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    changed = output_of("git", "status", "--porcelain")
    return {
        "machine": f"{model}, {os.cpu_count()} cores, {memory_mb / 1024:.0f} GB, {platform.system()} {platform.release()}",
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "commit": output_of("git", "rev-parse", "--short=12", "HEAD") + (" with changes" if changed else ""),
        "gateway": f"{_native.__version__}, {'debug' if _native.debug_build else 'release'}",
        "python": platform.python_version(),
        "rust": output_of("rustc", "--version"),
        "mosquitto": output_of("mosquitto", "-h"),
        # Debian's does not know its own version.
        "victoria-metrics": output_of("victoria-metrics", "-version") or output_of("dpkg-query", "-W", "victoria-metrics"),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def main() -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="bench.sh", description=__doc__)
    parser.add_argument("--json", metavar="FILE", type=Path, help="write {name: value} there")
    parser.add_argument("--short", action="store_true", help="some minutes instead of about an hour; the figures are rougher")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=GROUPS, metavar="GROUP", help=f"of {', '.join(GROUPS)}")
    args = parser.parse_args()
    about = machine()
    for name, text in about.items():
        print(f"{name}: {text}")
    if about["gateway"].endswith("debug"):
        print("bench.sh: this is a debug build", file=sys.stderr)
        return 1
    print(f"\n{HEADING}", flush=True)
    report = Report()
    folder = Path(tempfile.mkdtemp(prefix="iiot-bench-"))
    modules = {
        "end_to_end": end_to_end,
        "backlog": backlog,
        "latency": latency,
        "memory": memory,
        "broker": broker,
        "history": history,
        "ingest": ingest,
        "alerts": alerts,
        "devices": devices,
        "postgresql": postgresql,
        "fleet": fleet,
        "demo": demo,
    }
    try:
        for group in args.only:
            if group == "decode":
                decode.run(report, short=args.short)
            else:
                place = folder / group
                place.mkdir()
                modules[group].run(report, place, short=args.short)
                shutil.rmtree(place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    missing = [name for name in GOALS if name not in report.values()]
    if missing:
        print(f"not measured: {', '.join(missing)}")
    if args.json:
        args.json.write_text(json.dumps(report.values(), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
