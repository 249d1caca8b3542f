"""Simulated nodes go the way of real ones, and the ledger says of them what the simulator itself counted."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gateways import START, Gateway, assert_balanced
from iiot_gateway._native import HistoryReader, Simulator

pytestmark = [pytest.mark.native, pytest.mark.slow]

POINTS = 14
"""Of each document: six of the node, four of the receiver, two of the signal, two of the counters."""


def simulate(*arguments: str) -> tuple[bytes, dict[str, int]]:
    """Run `simulate`; return the log, and what happened by its own words."""
    done = subprocess.run([sys.executable, "-m", "iiot_gateway", "simulate", *arguments], capture_output=True, check=True, timeout=60)
    pairs = (part.split(" ", 1) for part in done.stderr.decode().strip().split(", "))
    return done.stdout, {name: int(number) for number, name in pairs}


def stored_points(path: Path) -> int:
    """Return how many points the history has."""
    reader = HistoryReader(str(path))
    points = sum(series["points"] for series in reader.series())
    reader.close()
    return points


def test_the_ledger_agrees_with_the_simulator(gateway: Gateway, tmp_path: Path) -> None:
    """Received, duplicate, lost on air: as many as were printed, repeated, and lost or damaged on the way."""
    log, counts = simulate("--nodes", "20", "--rate", "max", "--count", "30000", "--start", START)
    path = tmp_path / "simulated.log"
    path.write_bytes(log)
    gateway.configure("[history]")

    done = gateway.run("replay", str(path), "--start", START, "--speed", "max", "--once")

    assert done.returncode == 0, done.stderr
    status = gateway.status()
    assert_balanced(status)
    intake = status["intake"]
    assert (intake["received"], intake["duplicate"], intake["rejected"]) == (counts["documents"], counts["duplicates"], 0)
    # What a node sent before its first and behind its last packet that arrived is not known to be lost.
    missing = counts["lost"] + counts["damaged"]
    assert 0.98 * missing <= intake["lost_on_air"] <= missing
    accepted = counts["documents"] - counts["duplicates"]
    assert intake["accepted"] == accepted
    assert stored_points(gateway.folder / "history.db") == accepted * POINTS


def test_the_same_seed_and_start_give_the_same_bytes() -> None:
    """Another seed, or another start, does not."""
    arguments = ("--nodes", "7", "--rate", "max", "--count", "3000")

    first = simulate(*arguments, "--seed", "5", "--start", START)

    assert simulate(*arguments, "--seed", "5", "--start", START) == first
    assert simulate(*arguments, "--seed", "6", "--start", START)[0] != first[0]
    assert simulate(*arguments, "--seed", "5", "--start", "2023-01-04T21:31:23Z")[0] != first[0]


def test_a_rate_is_kept() -> None:
    """200 readings at 400 a second take half a second at least, and come while they happen."""
    command = [sys.executable, "-m", "iiot_gateway", "simulate", "--rate", "400", "--count", "200"]
    began_s = time.monotonic()  # before the start: a machine that is busy only makes it longer
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert isinstance(process.stdout, io.BufferedReader)
        assert process.stdout.readline().startswith(b"[INFO ] UART INT")
        rest = process.stdout.read()
        took_s = time.monotonic() - began_s

    assert process.returncode == 0
    assert took_s > 0.45
    assert 150 < rest.count(b"JSON sent via VCP") < 250


def test_a_reader_that_has_gone_ends_the_simulation() -> None:
    """As `| head` does."""
    command = f"{sys.executable} -m iiot_gateway simulate --rate max --nodes 50 | head -1"

    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=20)

    assert done.stdout == "[INFO ] UART INT: 47 bytes, complete=true (node2_firmware src/main.rs:441)\n"
    assert "Traceback" not in done.stderr


def test_a_simulating_gateway_that_is_killed_goes_on_with_new_readings(gateway: Gateway) -> None:
    """A second run's readings are no duplicates of the first's, and history and ledger agree after all."""
    gateway.configure("[simulate]\nnodes = 4\nrate_per_s = 1000\n[history]\ncommit_interval_ms = 100")

    def more_than(frames: int) -> Any:
        return lambda s: s["sinks"]["history"]["delivered"] > frames

    gateway.start("run")
    before = gateway.until(more_than(500), "readings")["intake"]
    gateway.kill9()
    gateway.start("run")
    status = gateway.until(more_than(before["accepted"] + 2_000), "readings of the second run")
    assert status["source"]["simulate"]["state"] == "running"
    assert gateway.stop() == 0
    assert gateway.run("replay", "/dev/null", "--once", "--speed", "max").returncode == 0

    status = gateway.status()
    assert_balanced(status)
    intake = status["intake"]
    assert intake["rejected"] <= 1, "the document that the kill cut off"
    assert intake["duplicate"] < 0.03 * intake["received"]
    assert status["sinks"]["history"]["delivered"] == intake["accepted"]
    assert stored_points(gateway.folder / "history.db") == intake["accepted"] * POINTS


def test_without_a_rate_the_journal_sets_the_pace(gateway: Gateway) -> None:
    """Nothing is lost, however fast it goes."""
    gateway.configure("[simulate]\nnodes = 50\nrate_per_s = 0\n[history]")

    gateway.start("run")
    gateway.until(lambda s: s["sinks"]["history"]["delivered"] > 100_000, "a hundred thousand frames")
    assert gateway.stop() == 0

    status = gateway.status()
    assert_balanced(status)
    assert status["intake"]["lost_journal_unavailable"] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--nodes", "0"), "expected a whole number above 0"),
        (("--nodes", "100001"), "nodes is 100001, expected 1 to 100000"),
        (("--rate", "fast"), "expected max, or readings per second"),
        (("--rate", "0"), "expected max, or readings per second"),
        (("--seed", "-1"), "expected a whole number from 0"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(arguments: tuple[str, ...], said: str) -> None:
    """With what would be right."""
    done = subprocess.run([sys.executable, "-m", "iiot_gateway", "simulate", *arguments], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_a_simulator_takes_the_arguments_of_its_stub() -> None:
    """The simulated clock begins where it is told to."""
    simulator = Simulator(nodes=1, rate_per_s=2.0, seed=1, start_ns=1_000)

    assert simulator.next_ns == 1_000
    assert simulator.advance(1_000, max_readings=10) == b""
    simulator.advance(2**62, max_readings=10)
    assert simulator.next_ns == 5_000_001_000
    assert simulator.counts()["readings"] == 10


def test_without_a_rate_each_node_measures_every_ten_seconds() -> None:
    """And without a time there is no end but the number of readings."""
    simulator = Simulator(nodes=5, rate_per_s=None, seed=1, start_ns=0)

    simulator.advance(None, max_readings=50)

    assert simulator.next_ns == 100 * 10**9
