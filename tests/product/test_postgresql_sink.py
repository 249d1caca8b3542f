"""The PostgreSQL sink against a real server: each message is one row, whatever is killed on either side."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from gateways import Gateway
from iiot_gateway.config.wiring import profile_path
from plants import DEVICES, TOPIC, Plant
from rows import configure, delivered, numbers, sink_of, start
from servers import Postgres, until

pytestmark = pytest.mark.slow

MESSAGES = 6_000
KILLS = 5
LONG_AGO = 1_700_000_000


@pytest.fixture
def database(launch: Callable[..., Postgres]) -> Postgres:
    """A server of its own."""
    return launch(Postgres)


@contextmanager
def connections_that_end(database: Postgres) -> Iterator[None]:
    """End the gateway's connections again and again, whatever they are doing."""
    stop = threading.Event()

    def end() -> None:
        while not stop.wait(0.2):
            with suppress(RuntimeError):  # the server itself was ended
                database.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'iiot-gateway'")

    thread = threading.Thread(target=end)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_each_message_is_one_row_over_kills_on_both_sides(gateway: Gateway, plant: Plant, database: Postgres) -> None:
    """The gateway is killed, connections end, the server crashes; each number is there once, in order per device, or a reject."""
    configure(gateway, plant.broker, database.url, "batch_rows = 500")
    start(gateway)
    plant.doses(range(1))
    delivered(gateway, 1)
    database.rows("ALTER TABLE dosing_consumption ADD CONSTRAINT plausible CHECK (actual_g::bigint % 10 <> 9)")
    part = MESSAGES // (KILLS + 1)
    with connections_that_end(database):
        for kill in range(KILLS + 1):
            plant.doses(range(max(1, kill * part), (kill + 1) * part))
            if kill < KILLS:
                gateway.kill9()
                if kill == KILLS // 2:
                    database.crash()
                    database.start()
                start(gateway)

    status = delivered(gateway, MESSAGES)

    refused = {number for number in range(MESSAGES) if number % 10 == 9}
    assert numbers(database) == [number for number in range(MESSAGES) if number not in refused]
    assert (sink_of(status)["delivered"], sink_of(status)["rejected"]) == (MESSAGES - len(refused), len(refused))
    by_device = database.rows("SELECT string_agg(actual_g::bigint::text, ',' ORDER BY time) FROM dosing_consumption GROUP BY device_id")
    for (in_order,) in by_device:
        assert [int(number) for number in in_order.split(",")] == sorted(int(number) for number in in_order.split(","))
    assert gateway.stop() == 0


def test_a_row_that_the_server_refuses_is_a_reject_and_the_others_go_in(gateway: Gateway, plant: Plant, database: Postgres) -> None:
    """A constraint takes some doses away; each is listed once, with the server's words."""
    configure(gateway, plant.broker, database.url)
    start(gateway)
    plant.doses(range(10))
    delivered(gateway, 10)
    database.rows("ALTER TABLE dosing_consumption ADD CONSTRAINT plausible CHECK (actual_g < 100 OR device_id <> 'd1')")

    plant.doses(range(10, 400))

    sink = sink_of(delivered(gateway, 400))
    refused = [number for number in range(100, 400) if number % DEVICES == 1]
    assert numbers(database) == [number for number in range(400) if number not in refused]
    assert (sink["rejected"], sink["delivered"]) == (len(refused), 400 - len(refused))
    rejects = gateway.ask("rejects")
    assert len(rejects) == len(refused)
    assert {reject["sink"] for reject in rejects} == {"postgresql"}
    assert all("plausible" in reject["reason"] for reject in rejects)
    assert '"sink_lines_rejected"' in gateway.log()


def test_a_wrong_password_is_reported_and_waited_for(gateway: Gateway, plant: Plant, launch: Callable[..., Postgres]) -> None:
    """Nothing is lost while a person has to act, and nothing more than that is needed."""
    owner = "host all postgres 127.0.0.1/32 trust\n"
    database = launch(Postgres, access=owner + "host all all 127.0.0.1/32 scram-sha-256\n")
    database.rows("CREATE ROLE writer LOGIN PASSWORD 'other'; CREATE SCHEMA plant AUTHORIZATION writer")
    (gateway.folder / "password").write_text("right\n")
    configure(gateway, plant.broker, database.url_of("writer"), 'schema = "plant"\npassword_file = "password"')
    start(gateway)
    plant.doses(range(20))

    waiting = gateway.until(lambda status: sink_of(status)["state"] == "refused", "the refusal")

    assert "28P01" in sink_of(waiting)["last_error"]
    until(lambda: '"sink_refused"' in gateway.log(), "the refusal in the log")
    assert "check user and password" in gateway.log()
    assert "right" not in gateway.log().replace("check user and password", "")
    database.rows("ALTER ROLE writer PASSWORD 'right'")
    delivered(gateway, 20)
    assert database.value("SELECT count(*) FROM plant.dosing_consumption") == "20"


def test_a_copied_journal_stops_until_it_is_told_to_go_on(gateway: Gateway, plant: Plant, database: Postgres) -> None:
    """Two gateways of one journal would overwrite each other's position: the second says so, and keeps what it takes."""
    configure(gateway, plant.broker, database.url)
    start(gateway)
    plant.doses(range(10))
    delivered(gateway, 10)
    gateway.stop()
    copy = Gateway(gateway.folder.parent / "copy")
    shutil.copy(gateway.journal, copy.journal)
    start(gateway)
    plant.doses(range(10, 20))
    delivered(gateway, 20)
    gateway.stop()

    configure(copy, plant.broker, database.url)
    start(copy)
    plant.doses(range(20, 30))
    copy.until(lambda status: (sink_of(status)["queued"], sink_of(status)["state"]) == (10, "unknown_run"), "the frames that wait")

    until(lambda: "postgresql adopt" in copy.log(), "the remedy in the log")
    assert len(numbers(database)) == 20
    locked = copy.run("postgresql", "adopt", "--yes")
    assert (locked.returncode, "locked" in locked.stderr) == (1, True)
    copy.stop()
    adopted = copy.run("postgresql", "adopt", "--yes")
    assert adopted.returncode == 0, adopted.stderr
    start(copy)
    delivered(copy, 20)
    assert numbers(database) == list(range(30))
    copy.stop()


def test_a_table_of_the_plant_s_own_takes_what_it_has_columns_for(gateway: Gateway, plant: Plant, database: Postgres) -> None:
    """With tables = "fixed" nothing is made: decimals keep their digits, a tag becomes an integer, the rest is counted and named."""
    database.rows('CREATE TABLE dosing_consumption ("time" timestamptz NOT NULL, device_id text NOT NULL, pump integer, actual_g numeric)')
    configure(gateway, plant.broker, database.url, 'tables = "fixed"')
    start(gateway)

    plant.client.publish(TOPIC, '{"device_id": "d1", "pump": 7, "chemical": "acid", "actual_g": 1.10000}', qos=2).wait_for_publish(10.0)
    plant.client.publish(TOPIC, '{"device_id": "d1", "pump": 8, "chemical": "acid", "actual_g": 2.25}', qos=2).wait_for_publish(10.0)

    sink = sink_of(delivered(gateway, 2))
    assert database.rows("SELECT device_id, pump, actual_g FROM dosing_consumption ORDER BY 2") == [
        ["d1", "7", "1.10000"],
        ["d1", "8", "2.25"],
    ]
    assert (sink["rows"], sink["left_out"]) == (2, 2)
    named = [json.loads(line) for line in gateway.log().splitlines() if "sink_values_left_out" in line]
    assert [(line["table"], line["column"]) for line in named] == [("dosing_consumption", "chemical")]


def test_partitions_past_their_retention_are_dropped_and_older_rows_are_rejects(gateway: Gateway, plant: Plant, database: Postgres) -> None:
    """What is older than a measurement's days goes; everything else stays."""
    dated = gateway.folder / "dated.toml"
    dated.write_text(profile_path(gateway.folder, "factory-dosing").read_text().replace("unix_s_or_uptime_ms", "unix_s"))
    configure(gateway, plant.broker, database.url, profile="dated.toml")
    start(gateway)
    plant.dose(1, timestamp=LONG_AGO).wait_for_publish(10.0)
    plant.dose(2).wait_for_publish(10.0)
    delivered(gateway, 2)
    gateway.stop()
    assert numbers(database) == [1, 2]
    before = database.rows("SELECT inhrelid FROM pg_inherits WHERE inhparent = 'dosing_consumption'::regclass")

    configure(gateway, plant.broker, database.url, "retention_days = { dosing_consumption = 30 }", "dated.toml")
    start(gateway)
    until(lambda: "sink_partition_dropped" in gateway.log(), "a partition that is dropped")
    plant.dose(3, timestamp=LONG_AGO + 1).wait_for_publish(10.0)
    plant.dose(4).wait_for_publish(10.0)

    sink = sink_of(delivered(gateway, 4))
    after = database.rows("SELECT inhrelid FROM pg_inherits WHERE inhparent = 'dosing_consumption'::regclass")
    assert numbers(database) == [2, 4]
    assert (sink["rejected"], len(before) - len(after)) == (1, 1)
