"""Servers as they run in production (the tests let Mosquitto log every packet), and the bare program of `rust/iiot-bench`."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from gateways import Gateway
from servers import Mosquitto, VictoriaMetrics, until

ROOT = Path(__file__).parent.parent
PROFILE = ROOT / "python" / "iiot_gateway" / "profiles" / "lora-bridge.toml"
WRITE_PATH = "/api/v2/write?org=bench&bucket=bench&precision=ns"
ALERTS = "[alerts]\ntopics = false\n"
"""All rules of the profile, and nobody to be told."""


class QuietMosquitto(Mosquitto):
    """Mosquitto without a log line per packet."""

    def command(self, program: str) -> list[str]:
        """Return the command line."""
        return [word for word in super().command(program) if word != "-v"]


class CountingDatabase(VictoriaMetrics):
    """VictoriaMetrics that is asked for nothing but how many rows came in, and that only after a measurement."""

    @property
    def write_url(self) -> str:
        """Where lines are posted to."""
        return self.url + WRITE_PATH

    def rows(self) -> int:
        """Return how many points were written, as of a second ago: it keeps its own figures for so long."""
        for line in self.get("/metrics").splitlines():
            if line.startswith(b'vm_rows_inserted_total{type="influx"}'):
                return int(line.rsplit(b" ", 1)[1])
        return 0

    def expect_rows(self, points: int) -> None:
        """Wait until it has so many points, and see that it has no more. Raises TimeoutError, AssertionError."""
        until(lambda: self.rows() >= points, f"the last of {points} points", 10)
        assert self.rows() == points, f"{self.rows()} points came, {points} were sent"


def servers(folder: Path) -> tuple[QuietMosquitto, CountingDatabase]:
    """Start a fresh broker and a fresh database."""
    for name in ("broker", "database"):
        (folder / name).mkdir(parents=True)
    return QuietMosquitto(folder / "broker").start(), CountingDatabase(folder / "database").start()


def configuration(*, broker: QuietMosquitto | None = None, database: CountingDatabase | str | None = None) -> str:
    """Return the sections of the sinks."""
    text = ""
    if broker is not None:
        text += f'[mqtt]\nbroker_url = "{broker.url}"\nclient_id = "gateway"\n'
    if database is not None:
        url = database if isinstance(database, str) else database.url
        text += f'[influxdb]\nurl = "{url}"\norg = "bench"\nbucket = "bench"\ntoken = "bench"\n'
    return text


def connected(gateway: Gateway, *names: str) -> None:
    """Wait until the sinks are connected."""
    gateway.until(lambda s: all(s["sinks"].get(name, {}).get("state") == "connected" for name in names), "the sinks", 30)


class Bare:
    """A run of the bare program: `ready` was said when this is made."""

    def __init__(self, command: str, *, pass_fds: Sequence[int] = (), **arguments: object) -> None:
        program = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "release" / "iiot-bench"
        words = [str(program), command]
        for name, value in arguments.items():
            words += [f"--{name}", str(value)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=pass_fds)
        self.expect("ready")

    def expect(self, word: str) -> list[str]:
        """Read the next line, which begins with a word; return the others."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().split()
        assert line, f"{word} was expected, and the bare program has ended with {self.process.wait()}"
        assert line[0] == word, (word, line)
        return line[1:]

    def go(self) -> float:
        """Let it begin; return the time."""
        assert self.process.stdin is not None
        began_s = time.monotonic()
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return began_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
