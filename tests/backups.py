"""What tests of backups share: a gateway with everything that a backup may hold, and the commands."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

from fleets import HOUR, Fleet
from gateways import Gateway
from iiot_gateway._native import HistoryReader
from servers import free_port, until

ALWAYS = 2**63 - 1
PARTIAL = ".partial"


class Load(threading.Thread):
    """A device that posts numbers, each until it is answered, as fast as it can."""

    def __init__(self, fleet: Fleet, key: str) -> None:
        super().__init__()
        self.fleet = fleet
        self.key = key
        self.answered = 0
        self.slowest_s = 0.0
        self.stopping = threading.Event()

    def run(self) -> None:
        """Post until told to stop."""
        connection = self.fleet.connect()
        while not self.stopping.is_set():
            number = self.answered + 1
            at = f"{HOUR}:{number // 60 % 60:02d}:{number % 60:02d}.{number // 3600:03d}Z"
            body = {"measurement": "numbers", "fields": {"n": number}, "timestamp": at, "message_id": str(number)}
            began_s = time.monotonic()
            status, answer = self.fleet.call("POST", "/api/v1/influxdb/telemetry", self.key, body, connection)
            self.slowest_s = max(self.slowest_s, time.monotonic() - began_s)
            assert status == 201, answer
            self.answered = number
        connection.close()

    def until(self, answered: int) -> None:
        """Wait until so many numbers are answered."""
        # Each is on the disk before it is answered, which takes a slow disk ten milliseconds.
        until(lambda: self.answered >= answered or not self.is_alive(), f"{answered} answers", 120)
        assert self.is_alive()

    def stop(self) -> None:
        """End it."""
        self.stopping.set()
        self.join()


def made_fleet(folder: Path) -> Fleet:
    """Return a gateway with a registry, a history, retained values of others, and a database that is away: all frames are queued."""
    free = "requests_per_minute = 0\npoints_per_minute = 0\naddress_requests_per_minute = 0"
    sections = (
        '[history]\npath = "history.db"\ncommit_interval_ms = 10\n'
        f'[influxdb]\nurl = "http://127.0.0.1:{free_port()}"\norg = "o"\nbucket = "b"\ntoken_file = "token"\n'
        f'[mqtt]\nbroker_url = "embedded"\n[broker]\nlisten = "127.0.0.1:{free_port()}"\nusername = "plant"\npassword = "p"\n'
    )
    fleet = Fleet(folder, devices=free, sections=sections)
    (fleet.folder / "token").write_text("secret\n")
    return fleet


def numbers_of(history: Path) -> list[tuple[int, str]]:
    """Return times and texts of the series `n` in a history."""
    reader = HistoryReader(str(history))
    (series,) = (found for found in reader.series() if found["measurement"] == "numbers")
    times, texts = reader.texts(series["id"], -ALWAYS, ALWAYS, limit=1_000_000)
    reader.close()
    return list(zip(times, texts, strict=True))


def ledger_of(backup: Path) -> dict[str, dict[str, int]]:
    """Return the counts of the intake, and of each sink, that a manifest holds."""
    ledger = json.loads((backup / "manifest.json").read_text())["ledger"]
    return {"intake": ledger["intake"], **ledger["sinks"]}


def backed_up(gateway: Gateway, backup: Path) -> None:
    """Make a backup, and verify it."""
    done = gateway.run("backup", str(backup))
    assert done.returncode == 0, done.stderr
    verified = gateway.run("backup", "verify", str(backup))
    assert verified.returncode == 0, verified.stderr


def restored(gateway: Gateway, backup: Path, *arguments: str) -> str:
    """Put a backup back, and return what was said."""
    done = gateway.run("restore", str(backup), *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout
