"""What devices sent is deleted everywhere: at once, when a sink comes back, and over a kill. What was not meant stays."""

from __future__ import annotations

import http.client
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from fleets import HOUR, Fleet
from gateways import assert_balanced
from registries import in_server
from servers import Influxd, Postgres, VictoriaMetrics, find_program, until

pytestmark = [pytest.mark.native, pytest.mark.servers, pytest.mark.slow]

SPAN = f"start={HOUR}:01:00Z&stop={HOUR}:03:00Z"
LEFT = [f"{HOUR}:00:00Z", f"{HOUR}:03:00Z", f"{HOUR}:04:00Z"]
POINTS = [
    {"measurement": "temperature", "fields": {"value": 20 + minute / 10}, "timestamp": f"{HOUR}:{minute:02}:00Z"} for minute in range(5)
]
HISTORY = '[history]\npath = "history.db"\ncommit_interval_ms = 10\n'


def influxdb(database: Influxd) -> str:
    """The section of a database that may be asked."""
    return f'[influxdb]\nurl = "{database.url}"\napi = "v1"\nread_token = "any"\nbatch_interval_ms = 10\n'


def postgresql(database: Postgres) -> str:
    """The section of a database."""
    return f'[postgresql]\nurl = "{database.url}"\nbatch_interval_ms = 10\nconnect_timeout_s = 2\n'


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Callable[[str], Fleet]]:
    """A function that starts a gateway with some sinks."""
    running: list[Fleet] = []

    def begin(sections: str) -> Fleet:
        running.append(Fleet(tmp_path / str(len(running)), sections=sections))
        running[-1].begin()
        return running[-1]

    yield begin
    for gateway in running:
        gateway.end()


@pytest.fixture
def servers(launch: Callable[..., Any]) -> tuple[Influxd, Postgres]:
    """InfluxDB and PostgreSQL."""
    influxd = launch(Influxd)
    influxd.create_database("telemetry")
    return influxd, launch(Postgres)


def delivered(gateway: Fleet) -> bool:
    """Tell whether every sink has everything."""
    return all(sink["queued"] == 0 for sink in gateway.ask()["sinks"].values())


def send(gateway: Fleet, *keys: str) -> None:
    """Send the points of each device."""
    for key in keys:
        assert gateway.api("POST", "influxdb/telemetry/batch", key, {"points": POINTS})[0] == 201


def in_history(gateway: Fleet, device: str) -> list[str]:
    """The lines of a device's values in the history."""
    done = gateway.run("history", "export", "--csv", "-")
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if "temperature" in line and f"name of {device}" in line]


def in_influxdb(database: Influxd, device: str) -> int:
    """How many values of a device InfluxDB has."""
    answer = database.query(f"SELECT count(value) FROM temperature WHERE device_id = '{device}'", "telemetry")
    return 0 if b"series" not in answer else int(answer.rpartition(b",")[2].partition(b"]")[0])


def in_postgresql(database: Postgres, device: str) -> int:
    """How many rows of a device PostgreSQL has."""
    return int(database.value(f"SELECT count(*) FROM temperature WHERE device_id = '{device}'"))


def deletion(gateway: Fleet, number: int, key: str) -> dict[str, Any]:
    """How far a deletion has come."""
    status, document = gateway.api("GET", f"influxdb/deletions/{number}", key)
    assert status == 200, document
    found: dict[str, Any] = document["deletion"]
    return found


def is_done(gateway: Fleet, number: int, key: str) -> bool:
    """Tell whether a deletion is done."""
    return deletion(gateway, number, key)["state"] == "done"


def test_a_span_is_deleted_in_every_place_and_nothing_else_is(fleet: Callable[[str], Fleet], servers: tuple[Influxd, Postgres]) -> None:
    """Of one device; a second time changes nothing."""
    influxd, postgres = servers
    gateway = fleet(HISTORY + influxdb(influxd) + postgresql(postgres))
    key, other = gateway.add("one"), gateway.add("two")
    send(gateway, key, other)
    until(lambda: delivered(gateway), "all values in every place")
    before = in_history(gateway, "two")
    assert len(before) == 5

    for _ in range(2):
        status, answer = gateway.api("DELETE", f"influxdb/device/one/data?{SPAN}", key)
        # 202: the deletion goes on after the answer, because it takes more than some seconds.
        assert status in (200, 202), answer
        until(lambda answer=answer: is_done(gateway, answer["id"], key), "the end of the deletion")
        assert (answer["device_id"], answer["start_time"], answer["stop_time"]) == ("one", f"{HOUR}:01:00Z", f"{HOUR}:03:00Z")
        assert (in_influxdb(influxd, "one"), in_postgresql(postgres, "one"), len(in_history(gateway, "one"))) == (3, 3, 3)
    assert [value["time"] for value in gateway.measured("one", key, 3)] == LEFT
    assert (in_influxdb(influxd, "two"), in_postgresql(postgres, "two")) == (5, 5)
    assert in_history(gateway, "two") == before
    assert gateway.api("GET", f"influxdb/deletions/{answer['id']}", other)[0] == 404
    assert gateway.api("GET", "influxdb/deletions/4711", key)[0] == 404
    assert_balanced(gateway.status())


def test_a_deletion_waits_for_a_sink_that_is_away_and_survives_a_kill(
    fleet: Callable[[str], Fleet], servers: tuple[Influxd, Postgres]
) -> None:
    """What waits in the journal would bring the values back otherwise."""
    influxd, postgres = servers
    gateway = fleet(HISTORY + influxdb(influxd) + postgresql(postgres))
    key = gateway.add("one")
    postgres.stop()
    send(gateway, key)

    status, answer = gateway.api("DELETE", f"influxdb/device/one/data?{SPAN}", key)

    assert status == 202, answer
    waiting = deletion(gateway, answer["id"], key)
    assert (waiting["state"], waiting["waits_for"], waiting["done_at"]) == ("waiting", ["postgresql"], None)
    gateway.kill9()
    gateway.begin()
    assert not is_done(gateway, answer["id"], key)
    postgres.start()
    until(lambda: is_done(gateway, answer["id"], key), "the end of the deletion", 60)
    assert (in_influxdb(influxd, "one"), in_postgresql(postgres, "one"), len(in_history(gateway, "one"))) == (3, 3, 3)
    assert_balanced(gateway.status())


def test_the_deletion_of_a_replaced_journal_is_told_and_can_be_taken(tmp_path: Path, launch: Callable[..., Any]) -> None:
    """Where several gateways share a registry, only an administrator knows that the one that was asked is no more."""
    influxd, postgres = launch(Influxd), launch(Postgres)
    influxd.create_database("telemetry")
    settings = in_server(postgres, {"sections": HISTORY + influxdb(influxd)})
    gateway = Fleet(tmp_path / "gateway", **settings)
    gateway.begin()
    key, administrator = gateway.add("one"), gateway.command_key("keys", "create", "--type", "administrator")
    send(gateway, key)
    until(lambda: delivered(gateway), "all values in every place")
    influxd.stop()
    send(gateway, gateway.add("two"))
    status, answer = gateway.api("DELETE", f"influxdb/device/one/data?{SPAN}", key)
    assert status == 202, answer
    number = answer["id"]
    gateway.end()
    for part in gateway.journal.parent.glob(f"{gateway.journal.name}*"):
        part.unlink()
    (schema,) = (line.partition('"')[2].rstrip('"') for line in settings["devices"].splitlines() if "schema" in line)
    postgres.rows(f"UPDATE {schema}.deletion SET asked_at = asked_at - 7200")
    influxd.start()

    gateway.begin()
    try:
        gateway.until(lambda status: "1 deletion waits for another gateway" in status["source"]["devices"]["detail"], "the trouble")
        waiting = deletion(gateway, number, key)
        assert (waiting["state"], waiting["waits_for"]) == ("waiting", [])
        assert f"POST /api/v1/influxdb/deletions/{number}/take" in waiting["failure"]
        assert gateway.api("POST", f"influxdb/deletions/{number}/take", key)[0] == 403
        assert gateway.api("POST", "influxdb/deletions/4711/take", administrator)[0] == 404
        for _ in range(2):
            status, taken = gateway.api("POST", f"influxdb/deletions/{number}/take", administrator)
            assert (status, taken["deletion"]["state"], taken["deletion"]["failure"]) == (200, "done", None), taken
        assert (in_influxdb(influxd, "one"), len(in_history(gateway, "one"))) == (3, 3)
        gateway.until(lambda status: "deletion" not in status["source"]["devices"]["detail"], "the end of the trouble", 90)
    finally:
        gateway.end()


def test_a_deletion_that_fails_at_one_place_is_tried_again(fleet: Callable[[str], Fleet], servers: tuple[Influxd, Postgres]) -> None:
    """Here the database goes when it has everything; a kill between two places changes nothing."""
    influxd, postgres = servers
    gateway = fleet(HISTORY + influxdb(influxd) + postgresql(postgres))
    key = gateway.add("one")
    send(gateway, key)
    gateway.until_online("one")
    until(lambda: delivered(gateway), "all values in every place")
    postgres.stop()

    status, answer = gateway.api("DELETE", f"influxdb/device/one/data?{SPAN}", key)

    assert status == 202, answer
    until(lambda: deletion(gateway, answer["id"], key)["failure"] is not None, "the failure")
    assert "postgresql" in deletion(gateway, answer["id"], key)["failure"]
    gateway.kill9()
    postgres.start()
    gateway.begin()
    until(lambda: is_done(gateway, answer["id"], key), "the end of the deletion", 60)
    assert (in_influxdb(influxd, "one"), in_postgresql(postgres, "one"), len(in_history(gateway, "one"))) == (3, 3, 3)


def test_a_gateway_stops_in_time_while_a_database_deletes(fleet: Callable[[str], Fleet], launch: Callable[..., Postgres]) -> None:
    """Here the database waits for a lock; the next run does the rest."""
    postgres = launch(Postgres)
    gateway = fleet(HISTORY + postgresql(postgres) + "lock_timeout_s = 60\n")
    key = gateway.add("one")
    send(gateway, key)
    until(lambda: delivered(gateway), "all values in every place")
    psql = find_program("psql")
    assert psql is not None
    with subprocess.Popen([psql, "-XAtq", "-d", postgres.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.write("BEGIN; SELECT count(*) FROM (SELECT FROM temperature FOR UPDATE) AS held;\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "5\n"

        status, answer = gateway.api("DELETE", f"influxdb/device/one/data?{SPAN}", key)

        assert status == 202, answer
        assert gateway.stop(8.0) == 0
        holder.stdin.write("COMMIT;\n")
        holder.stdin.close()
    gateway.begin()
    until(lambda: is_done(gateway, answer["id"], key), "the end of the deletion", 60)
    assert (in_postgresql(postgres, "one"), len(in_history(gateway, "one"))) == (3, 3)


def test_kills_while_points_are_deleted_only_make_it_later(fleet: Callable[[str], Fleet]) -> None:
    """A hundred thousand points of one device go, those of another stay; whoever asked has no answer."""
    gateway = fleet(HISTORY)
    key, other = gateway.add("one"), gateway.add("two")
    begin_s = 1_793_491_200

    def batch(number: int) -> dict[str, Any]:
        # Fifty series, so that there is more to do than one transaction does.
        values = {f"f{field}": field + 0.5 for field in range(50)}
        return {"points": [{"measurement": "temperature", "fields": values, "timestamp": begin_s + number * 500 + s} for s in range(500)]}

    for number in range(4):
        for each in (key, other):
            assert gateway.api("POST", "influxdb/telemetry/batch", each, batch(number))[0] == 201
    until(lambda: delivered(gateway), "all values in the history", 60)
    span = f"start={begin_s + 10}&stop={begin_s + 1990}"

    def ask() -> None:
        with suppress(OSError, http.client.HTTPException):
            gateway.api("DELETE", f"influxdb/device/one/data?{span}", key)

    for kill in range(5):
        asking = threading.Thread(target=ask)
        asking.start()
        until(lambda number=kill + 1: gateway.api("GET", f"influxdb/deletions/{number}", key)[0] == 200, "the deletion")  # type: ignore[misc]
        gateway.kill9()
        asking.join()
        gateway.begin()

    until(lambda: all(is_done(gateway, number + 1, key) for number in range(5)), "the end of every deletion", 60)
    assert (len(in_history(gateway, "one")), len(in_history(gateway, "two"))) == (20 * 50, 2000 * 50)
    assert_balanced(gateway.status())


def test_where_a_place_cannot_delete_nothing_is_deleted_anywhere(
    fleet: Callable[[str], Fleet], victoria_metrics: VictoriaMetrics, launch: Callable[..., Postgres]
) -> None:
    """A database that takes line protocol alone, and one in which the gateway may only write."""
    gateway = fleet(HISTORY + f'[influxdb]\nurl = "{victoria_metrics.url}"\nbatch_interval_ms = 10\n')
    key = gateway.add("one")
    send(gateway, key)
    until(lambda: delivered(gateway), "all values in every place")

    status, problem = gateway.api("DELETE", f"influxdb/device/one/data?{SPAN}", key)

    assert (status, problem["error"]) == (501, "delete_unsupported")
    assert "[influxdb]" in problem["message"]
    assert len(in_history(gateway, "one")) == 5
    gateway.end()

    postgres = launch(Postgres)
    postgres.rows("CREATE ROLE writer LOGIN; GRANT CREATE ON SCHEMA public TO writer")
    writing = fleet(HISTORY + postgresql(postgres).replace("postgres@", "writer@"))
    key = writing.add("one")
    send(writing, key)
    until(lambda: delivered(writing), "all values in every place")
    postgres.rows("ALTER TABLE temperature OWNER TO postgres; GRANT SELECT, INSERT ON temperature TO writer")
    status, problem = writing.api("DELETE", f"influxdb/device/one/data?{SPAN}", key)
    assert (status, problem["error"]) == (501, "delete_unsupported")
    assert "public.temperature" in problem["remedy"]
    assert len(in_history(writing, "one")) == 5
