"""What no database would answer is not taken for a delivery, and a 5xx for one line does not stop the others."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted_database import TAKEN, Reply, ScriptedDatabase

from gateways import START, Gateway, assert_balanced
from recordings import Expected, expect, generated

pytestmark = pytest.mark.slow

LOGIN = "<!DOCTYPE html>\n<title>Sign in</title>"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A small recording."""
    path = tmp_path / "small.log"
    path.write_bytes(generated(300, seed=11))
    return path


@pytest.fixture
def small(log: Path) -> Expected:
    """What is in it."""
    return expect(log)


@pytest.fixture
def database() -> Iterator[ScriptedDatabase]:
    """A database that takes everything, until a test tells it otherwise."""
    database = ScriptedDatabase(lambda _lines: TAKEN)
    yield database
    database.close()


def section(database: ScriptedDatabase, more: str = "") -> str:
    """Return the configuration of the sink."""
    return f'[influxdb]\nurl = "{database.url}"\norg = "o"\nbucket = "b"\ntoken = "secret-token"\n{more}\n'


def replay(gateway: Gateway, log: Path, *more: str) -> int:
    """Play it to the end; returns the exit code."""
    gateway.start("replay", str(log), "--start", START, "--speed", "max", "--once", *more)
    return gateway.wait()


@pytest.mark.parametrize(
    ("reply", "error", "remedy"),
    [
        ((200, {"Content-Type": "text/html"}, LOGIN), "200 (text/html) is not the answer of a database", "set url to the database itself"),
        (
            (202, {}, {"status": "queued"}),
            '202 (no content type) is not the answer of a database, which confirms with 204: {"status"',
            "proxy",
        ),
        ((302, {"Location": "http://login.example/"}, None), "302 a redirect to http://login.example/", "follows no redirect"),
        ((405, {}, "no"), "405 no", "nothing takes lines at /api/v2/write"),
        ((415, {}, "no"), "415 no", "set gzip = false"),
    ],
)
def test_what_is_no_204_delivers_nothing(
    reply: Reply, error: str, remedy: str, gateway: Gateway, database: ScriptedDatabase, log: Path, small: Expected
) -> None:
    """The lines wait in the journal, status and log say what answers there, and after the url was mended all is delivered."""
    database.judge = lambda _lines: reply
    gateway.configure(section(database))

    assert replay(gateway, log, "--timeout", "2") == 4
    sink = gateway.status()["sinks"]["influxdb"]
    assert (sink["delivered"], sink["rejected"], sink["queued"]) == (0, 0, small.accepted)
    refusal = next(json.loads(line) for line in gateway.log().splitlines() if "sink_refused" in line)
    assert error in refusal["error"]
    assert remedy in refusal["remedy"]
    database.judge = lambda _lines: TAKEN

    assert replay(gateway, log) == 0
    assert gateway.status()["sinks"]["influxdb"]["delivered"] == small.accepted


def test_the_commands_do_not_take_a_page_for_a_database(gateway: Gateway, database: ScriptedDatabase) -> None:
    """A login page answers 200 to a query, a deletion and a trial: each command says so, and none says that it is done."""
    page: Reply = (200, {"Content-Type": "text/html"}, LOGIN)
    database.judge, database.look = lambda _lines: page, page
    gateway.configure(section(database))
    (gateway.folder / "password").write_text("correct horse")
    times = ("--from", "2024-01-01T00:00:00Z", "--to", "2024-01-02T00:00:00Z")

    query = gateway.run("influxdb", "query", "from(bucket: 1)")
    delete = gateway.run("influxdb", "delete", *times, "--yes")
    init = gateway.run("influxdb", "init", "--password-file", "password", "--yes")
    doctor = gateway.run("doctor")

    for done, words in ((query, "answered with text/html, not with CSV"), (delete, "answered with 200, not with 204"), (init, "set up")):
        assert (done.returncode, done.stdout) == (1, "")
        assert "is no InfluxDB 2" in done.stderr
        assert words in done.stderr
    assert doctor.returncode == 1
    assert "200 (text/html) is not the answer of a database" in doctor.stdout


def conflicts(database: ScriptedDatabase, status: int = 500) -> None:
    """Answer 5xx to a request with a gas resistance above 80,000, and write nothing of it."""

    def judge(lines: list[str]) -> Reply:
        bad = [line for line in lines if is_bad(line)]
        return (status, {}, {"message": f"field type conflict: {bad[0].split(',')[0]}"}) if bad else TAKEN

    database.judge = judge


def is_bad(line: str) -> bool:
    """Tell the lines that the database breaks over."""
    return line.startswith("gas_resistance") and float(line.split(" ")[1].removeprefix("value=")) > 80_000


@pytest.mark.parametrize("status", [500, 502])
def test_lines_that_a_database_breaks_over_are_rejected_in_the_end(
    status: int, gateway: Gateway, database: ScriptedDatabase, log: Path, small: Expected
) -> None:
    """After the wait they are found and rejected with the database's words; it is waited once, not once a line."""
    bad = [value for value in small.values("node1/gas_resistance") if float(value) > 80_000]
    assert len(bad) > 20
    conflicts(database, status)
    gateway.configure(section(database, "batch_lines = 200\nsuspect_after_s = 2"))
    began_s = time.monotonic()

    code = replay(gateway, log)

    assert code == 3, gateway.log()[-2000:]
    assert time.monotonic() - began_s < 2 * len(bad)
    document = gateway.status()
    assert_balanced(document)
    assert document["sinks"]["influxdb"]["rejected"] == len(bad)
    assert document["sinks"]["influxdb"]["delivered"] == small.accepted - len(bad)
    assert not any(map(is_bad, (f"{point.rsplit(' ', 1)[0]} {fields}" for point, fields in database.taken.items())))
    listed = json.loads(gateway.run("rejects", "--json", "--limit", "100000").stdout)
    reasons = {reject["reason"] for reject in listed if reject["sink"] == "influxdb"}
    assert reasons == {f"{status} field type conflict: gas_resistance"}


def test_a_line_before_the_wait_is_over_is_no_reject(gateway: Gateway, database: ScriptedDatabase, log: Path, small: Expected) -> None:
    """A broken shard may be mended within the time: nothing is halved, and all is delivered then."""
    conflicts(database)
    gateway.configure(section(database))

    assert replay(gateway, log, "--timeout", "3") == 4
    assert len({tuple(lines) for lines in database.requests}) == 1, "the same batch again"
    assert gateway.status()["sinks"]["influxdb"]["rejected"] == 0
    database.judge = lambda _lines: TAKEN

    assert replay(gateway, log) == 0
    assert gateway.status()["sinks"]["influxdb"]["delivered"] == small.accepted


def test_without_another_line_of_the_measurement_nothing_is_rejected(
    gateway: Gateway, database: ScriptedDatabase, log: Path, small: Expected
) -> None:
    """The database takes other measurements, and none of this one: that shows nothing about a line."""
    database.judge = lambda lines: (500, {}, {"message": "shard"}) if any(line.startswith("gas_") for line in lines) else TAKEN
    gateway.configure(section(database, "suspect_after_s = 0"))

    assert replay(gateway, log, "--timeout", "4") == 4
    waiting = gateway.status()["sinks"]["influxdb"]
    assert (waiting["rejected"], waiting["queued"]) == (0, small.accepted)
    database.judge = lambda _lines: TAKEN

    assert replay(gateway, log) == 0


def test_a_line_alone_is_judged_by_one_that_was_taken_before(gateway: Gateway, database: ScriptedDatabase) -> None:
    """Another measurement was delivered in between, and nothing waits behind: the line of the same measurement is remembered."""
    conflicts(database)
    gateway.configure(section(database, "batch_interval_ms = 0\nsuspect_after_s = 1"))
    reading, writing = os.pipe()
    gateway.start("replay", "-", "--speed", "max", "--once", stdin=reading)
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        for number, (name, value) in enumerate([("g", 70000), ("t", 7.1), ("g", 90000), ("g", 90001)], 1):
            print(f'{{"ts":{number * 1000},"id":"N2","n1":{{"{name}":{value},"seq":{number}}}}}', file=pipe, flush=True)
            gateway.until(lambda s, n=number: s["sinks"]["influxdb"]["queued"] == 0 and s["intake"]["accepted"] == n, "the line")

    assert gateway.wait() == 3
    sink = gateway.status()["sinks"]["influxdb"]
    assert (sink["delivered"], sink["rejected"]) == (2, 2)
