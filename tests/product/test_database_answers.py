"""What the gateway does with each answer of a database: against a scripted one, because a real one gives few of them on demand."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted_database import TAKEN, Reply, ScriptedDatabase

from gateways import START, START_MS, Gateway, assert_balanced
from recordings import Expected, expect, generated
from servers import VictoriaMetrics

pytestmark = pytest.mark.slow


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


def points(expected: Expected) -> int:
    """How many points the accepted documents give."""
    return sum(len(expected.values(topic)) for topic in expected.topics())


def replay(gateway: Gateway, log: Path, *more: str) -> int:
    """Play it to the end; returns the exit code."""
    gateway.start("replay", str(log), "--start", START, "--speed", "max", "--once", *more)
    return gateway.wait()


def is_bad(line: str) -> bool:
    """Refuse some pressure-free series: gas resistance above 80,000."""
    return line.startswith("gas_resistance") and float(line.split(" ")[1].removeprefix("value=")) > 80_000


def strict(status: int, database: ScriptedDatabase) -> Reply:
    """Refuse a request with a bad line: 400 writes nothing, 422 writes the rest."""

    def judge(lines: list[str]) -> Reply:
        bad = [line for line in lines if is_bad(line)]
        if not bad:
            return TAKEN
        if status == 422:
            database.take([line for line in lines if not is_bad(line)])
        return status, {}, {"code": "invalid", "message": f"field type conflict: {bad[0].split(',')[0]}"}

    database.judge = judge
    return TAKEN


@pytest.mark.parametrize("status", [400, 422])
def test_bad_lines_are_found_stored_and_the_rest_is_written(
    status: int, gateway: Gateway, database: ScriptedDatabase, log: Path, small: Expected
) -> None:
    """A refused batch is halved until the bad lines are found; they are listed with the database's words, the rest is in."""
    strict(status, database)
    gateway.configure(section(database))

    code = replay(gateway, log)

    bad = [value for value in small.values("node1/gas_resistance") if float(value) > 80_000]
    assert code == 3, gateway.log()[-2000:]
    assert len(database.taken) == points(small) - len(bad)
    status_document = gateway.status()
    assert_balanced(status_document)
    assert status_document["sinks"]["influxdb"]["rejected"] == len(bad)
    assert status_document["sinks"]["influxdb"]["delivered"] == small.accepted - len(bad)
    listed = json.loads(gateway.run("rejects", "--json", "--limit", "100000").stdout)
    ours = [reject for reject in listed if reject["sink"] == "influxdb"]
    assert len(ours) == len(bad)
    assert all("field type conflict: gas_resistance" in reject["reason"] for reject in ours)
    assert all(reject["excerpt"].startswith("gas_resistance,node=node1") for reject in ours)


def test_a_backlog_that_begins_with_bad_lines_only_goes_on_to_the_good_ones(
    gateway: Gateway, database: ScriptedDatabase, tmp_path: Path
) -> None:
    """A retention that refuses whole batches from their first line to their last is no wrong address: what is newer shows it."""
    log = tmp_path / "backlog.log"
    log.write_bytes(generated(100, seed=5))
    backlog = expect(log)
    gateway.configure(section(database, "batch_lines = 90"))
    database.judge = lambda _lines: (503, {}, {"message": "away"})
    assert replay(gateway, log, "--timeout", "2") == 4
    limit_ms, _document = backlog.documents[70]

    def is_old(line: str) -> bool:
        return int(line.rsplit(" ", 1)[1]) // 1_000_000 < START_MS + limit_ms

    database.judge = lambda lines: (422, {}, {"message": "beyond retention"}) if any(map(is_old, lines)) else TAKEN

    gateway.start("run")
    status = gateway.until(lambda s: s["sinks"]["influxdb"]["queued"] == 0, "the end of the backlog", 60)

    assert_balanced(status)
    assert status["sinks"]["influxdb"]["rejected"] == 70
    assert status["sinks"]["influxdb"]["delivered"] == backlog.accepted - 70
    assert len({point.rsplit(" ", 1)[1] for point in database.taken}) == backlog.accepted - 70
    assert gateway.stop() == 0


def test_rejects_are_sent_again_on_demand(gateway: Gateway, database: ScriptedDatabase, log: Path, small: Expected) -> None:
    """`rejects retry` offers them again: with the database mended all is delivered and the ledger balances."""
    strict(400, database)
    gateway.configure(section(database))
    assert replay(gateway, log) == 3
    database.judge = lambda _lines: TAKEN

    refused = gateway.status()["sinks"]["influxdb"]["rejected"]

    done = gateway.run("rejects", "retry")
    assert done.returncode == 0, done.stderr
    stopped = gateway.status()
    assert_balanced(stopped)
    sink = stopped["sinks"]["influxdb"]
    assert (sink["state"], sink["accepted"], sink["queued"], sink["rejected"]) == ("stopped", small.accepted, refused, 0)
    gateway.start("run")
    status = gateway.until(lambda s: s["sinks"]["influxdb"]["delivered"] == small.accepted, "the delivery of the rejects")

    assert_balanced(status)
    assert status["sinks"]["influxdb"]["rejected"] == 0
    assert len(database.taken) == points(small)
    assert gateway.stop() == 0


def test_a_batch_that_is_too_large_is_split(gateway: Gateway, database: ScriptedDatabase, log: Path, small: Expected) -> None:
    """413 halves the batch until it fits; nothing is rejected."""
    database.judge = lambda lines: TAKEN if len(lines) <= 100 else (413, {}, {"message": "too large"})
    gateway.configure(section(database))

    assert replay(gateway, log) == 0
    assert len(database.taken) == points(small)


def test_a_busy_database_sets_the_pace(gateway: Gateway, database: ScriptedDatabase, log: Path, small: Expected) -> None:
    """429 and 503 are waited out, as long as Retry-After asks; nothing is rejected."""
    replies = iter([(429, {"Retry-After": "1"}, {"message": "slow"}), (503, {}, {"message": "starting"})])
    database.judge = lambda _lines: next(replies, TAKEN)
    gateway.configure(section(database))

    assert replay(gateway, log) == 0
    assert len(database.taken) == points(small)
    assert database.answers[:3] == [429, 503, 204]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_database_that_refuses_us_is_waited_for_loudly(
    status: int, gateway: Gateway, database: ScriptedDatabase, log: Path, small: Expected
) -> None:
    """A wrong token or bucket rejects nothing: the lines wait, the log says what to check, and never the token."""
    database.judge = lambda _lines: (status, {}, {"message": "unauthorized access"})
    gateway.configure(section(database))
    gateway.start("replay", str(log), "--start", START, "--speed", "max", "--once")

    seen = gateway.until(lambda s: s["sinks"]["influxdb"]["state"] == "refused", "the refusal in the status")
    assert "unauthorized access" in seen["sinks"]["influxdb"]["last_error"]
    assert seen["sinks"]["influxdb"]["rejected"] == 0
    database.judge = lambda _lines: TAKEN
    assert gateway.wait() == 0

    assert len(database.taken) == points(small)
    assert '"level": "error"' in gateway.log()
    assert "secret-token" not in gateway.log()
    assert database.tokens == {"Token secret-token"}


WRONG_PATH: Reply = (400, {}, {"message": "unsupported path requested"})


def test_a_database_that_refuses_every_line_costs_no_line(gateway: Gateway, database: ScriptedDatabase, log: Path, small: Expected) -> None:
    """A wrong path answers 400 to everything: that is said with its remedy, nothing is rejected, and once mended all is delivered."""
    database.judge = lambda _lines: WRONG_PATH
    gateway.configure(section(database))
    gateway.start("replay", str(log), "--start", START, "--speed", "max", "--once")

    seen = gateway.until(lambda s: s["sinks"]["influxdb"]["state"] == "refused", "the refusal in the status")
    assert seen["sinks"]["influxdb"]["rejected"] == 0
    assert seen["sinks"]["influxdb"]["delivered"] == 0
    assert "unsupported path" in seen["sinks"]["influxdb"]["last_error"]
    assert len(database.requests) < 100, "the search for a good line is bounded"
    database.judge = lambda _lines: TAKEN
    assert gateway.wait() == 0, gateway.log()[-2000:]

    assert len(database.taken) == points(small)
    assert gateway.status()["sinks"]["influxdb"]["delivered"] == small.accepted
    assert "the database refuses every line" in gateway.log()


def test_a_wrong_path_of_a_real_database_rejects_nothing(
    gateway: Gateway, victoria_metrics: VictoriaMetrics, log: Path, small: Expected
) -> None:
    """VictoriaMetrics answers 400 to a path that it does not know; after the URL was mended all is there."""
    text = f'[influxdb]\nurl = "{victoria_metrics.url}%s"\norg = "o"\nbucket = "b"\n'
    gateway.configure(text % "/wrong")
    assert replay(gateway, log, "--timeout", "4") == 4
    waiting = gateway.status()
    assert waiting["sinks"]["influxdb"]["queued"] == small.accepted
    assert waiting["sinks"]["influxdb"]["rejected"] == 0
    gateway.configure(text % "")

    assert replay(gateway, log) == 0
    assert gateway.status()["sinks"]["influxdb"]["delivered"] == small.accepted


def test_a_batch_of_bad_lines_alone_is_rejected_where_the_database_takes_a_line_it_took_before(
    gateway: Gateway, database: ScriptedDatabase, log: Path, tmp_path: Path
) -> None:
    """After a good delivery, a batch of nothing but bad lines is proven bad by posting a known line again; new lines then go through."""
    good, refuse = '{"ts":%d,"id":"N2","n1":{"t":7.1,"seq":%d}}\n', '{"ts":%d,"id":"N2","n1":{"g":90000,"seq":%d}}\n'
    strict(400, database)
    gateway.configure(section(database, "batch_interval_ms = 0"))
    reading, writing = os.pipe()
    gateway.start("replay", "-", "--speed", "max", "--once", stdin=reading)
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        print(good % (1000, 1), end="", file=pipe, flush=True)
        gateway.until(lambda s: s["sinks"]["influxdb"]["delivered"] == 1, "the good line")
        print(refuse % (2000, 2), end="", file=pipe, flush=True)
        seen = gateway.until(lambda s: s["sinks"]["influxdb"]["rejected"] == 1, "the reject")
        assert_balanced(seen)
        print(good % (3000, 3), end="", file=pipe, flush=True)

    assert gateway.wait() == 3
    assert len(database.taken) == 2


def test_a_path_that_goes_wrong_later_rejects_nothing(gateway: Gateway, database: ScriptedDatabase) -> None:
    """Lines were taken before, but the known line is refused as well now: the lines wait until the database takes it again."""
    line = '{"ts":%d,"id":"N2","n1":{"t":7.1,"seq":%d}}\n'
    gateway.configure(section(database, "batch_interval_ms = 0"))
    reading, writing = os.pipe()
    gateway.start("replay", "-", "--speed", "max", "--once", stdin=reading)
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        print(line % (1000, 1), end="", file=pipe, flush=True)
        gateway.until(lambda s: s["sinks"]["influxdb"]["delivered"] == 1, "the first line")
        database.judge = lambda _lines: WRONG_PATH
        print(line % (2000, 2), end="", file=pipe, flush=True)
        seen = gateway.until(lambda s: s["sinks"]["influxdb"]["state"] == "refused", "the refusal")
        assert seen["sinks"]["influxdb"]["rejected"] == 0
        database.judge = lambda _lines: TAKEN

    assert gateway.wait() == 0
    assert len(database.taken) == 2


def test_once_gives_up_after_its_timeout_and_keeps_what_it_has(
    gateway: Gateway, database: ScriptedDatabase, log: Path, small: Expected
) -> None:
    """Exit code 4 says that it was not done in time; the next run finishes the rest, each point once."""
    database.judge = lambda _lines: (503, {}, None)
    gateway.configure(section(database))

    assert replay(gateway, log, "--timeout", "2") == 4
    waiting = gateway.status()
    assert_balanced(waiting)
    assert waiting["sinks"]["influxdb"]["queued"] == small.accepted
    database.judge = lambda _lines: TAKEN
    assert replay(gateway, log) == 0

    assert len(database.taken) == points(small)


def test_a_database_that_is_absent_at_start_is_waited_for(gateway: Gateway, log: Path, small: Expected) -> None:
    """The gateway starts, journals and delivers when the database appears."""
    probe = ScriptedDatabase(lambda _lines: TAKEN)
    address = probe.url
    probe.close()
    gateway.configure(f'[influxdb]\nurl = "{address}"\norg = "o"\nbucket = "b"\ntoken = "t"\n')
    gateway.start("replay", str(log), "--start", START, "--speed", "max", "--once")
    gateway.until(lambda s: s["sinks"]["influxdb"]["queued"] == small.accepted, "the queue")
    assert gateway.stop() in (0, 4)
    database = ScriptedDatabase(lambda _lines: TAKEN)
    gateway.configure(section(database))

    assert replay(gateway, log) == 0
    assert len(database.taken) == points(small)
    database.close()
