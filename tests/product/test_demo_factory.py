"""`demo factory --postgresql URL`: what the simulated machines say that they published is what the database has."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from gateways import Gateway, assert_balanced
from servers import Postgres, free_port, until

pytestmark = pytest.mark.slow

MESSAGES = 5_000
TOTALS = "SELECT chemical, count(*), sum(actual_g::numeric) FROM dosing_consumption GROUP BY 1"


def command(folder: Path, url: str, *more: str) -> list[str]:
    """Return the command line."""
    return [sys.executable, "-m", "iiot_gateway", "demo", "factory", "--folder", str(folder), "--postgresql", url, *more]


def refused(folder: Path, url: str) -> str:
    """Run a demo that does not start; return why."""
    done = subprocess.run(command(folder, url), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stdout
    return done.stderr


@contextmanager
def running(folder: Path, url: str, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a demo; its words go to a file beside its folder."""
    with (folder.parent / "demo.log").open("wb") as log:
        process = subprocess.Popen(command(folder, url, *more), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_each_dose_is_a_row_and_the_sums_are_those_of_the_ledger(tmp_path: Path, launch: Callable[..., Postgres]) -> None:
    """To the last digit, in the raw table, the hourly sums and the gateway's own ledger."""
    database = launch(Postgres)
    folder = tmp_path / "demo"
    gateway = Gateway(folder)

    with running(folder, database.url, "--rate", "max", "--count", str(MESSAGES)) as process:

        def is_published() -> bool:
            assert process.poll() is None, (tmp_path / "demo.log").read_text()
            return (folder / "ledger.json").exists()

        until(is_published, "the end of the machines", 120)
        status = gateway.until(
            lambda found: found["intake"]["accepted"] == MESSAGES and found["sinks"]["postgresql"]["queued"] == 0, "all rows", 60
        )
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0

    assert_balanced(status)
    ledger = json.loads((folder / "ledger.json").read_text())
    rows = database.rows(TOTALS)
    assert {chemical: int(count) for chemical, count, _sum in rows} == ledger["doses"]
    assert {chemical: Decimal(total) for chemical, _count, total in rows} == {
        chemical: Decimal(total) for chemical, total in ledger["actual_g"].items()
    }
    assert sum(ledger["doses"].values()) > 20
    assert database.rows("SELECT chemical, sum(dose_count) FROM dosing_consumption_hourly GROUP BY 1 ORDER BY 1") == [
        [chemical, str(count)] for chemical, count in sorted(ledger["doses"].items())
    ]
    tables = {topic: topic.removeprefix("factory/").replace("/", "_") for topic in ledger["messages"]}
    counted = {topic: int(database.value(f"SELECT count(*) FROM {table}")) for topic, table in tables.items()}
    assert counted == ledger["messages"]
    assert "postgresql query dosing_consumption" in (tmp_path / "demo.log").read_text()


def test_what_cannot_be_is_said_before_there_are_files(tmp_path: Path) -> None:
    """A password in the URL, a server that is away, a folder of a demo without the database."""
    assert "PGPASSWORD" in refused(tmp_path / "a", "postgresql://me:secret@127.0.0.1/plant")
    assert os.listdir(tmp_path) == []
    for option in (("--postgresql", "postgresql://me@127.0.0.1/plant"), ("--count", "5"), ("--rate", "max")):
        nodes = [sys.executable, "-m", "iiot_gateway", "demo", "--folder", str(tmp_path / "a"), *option]
        assert "goes with" in subprocess.run(nodes, capture_output=True, text=True, timeout=60, check=False).stderr
    away = f"postgresql://me@127.0.0.1:{free_port()}/plant"
    assert "connecting" in refused(tmp_path / "b", away)
    (tmp_path / "b" / "config.toml").write_text("[mqtt_consumer]\nbroker_url = 'embedded'\ntopics = ['x']\nprofile = 'factory-dosing'\n")
    assert "name another folder" in refused(tmp_path / "b", away)
