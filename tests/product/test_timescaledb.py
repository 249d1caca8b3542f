"""What only TimescaleDB does, on the server that TIMESCALEDB_URL names: hypertables, policies, compression, the hourly view, late rows."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from gateways import Gateway
from iiot_gateway._native import postgres_time_bucket
from iiot_gateway.config.wiring import profile_path
from plants import Plant
from rows import configure, delivered, numbers, start
from servers import until
from timescale import Timescale, needs_timescaledb

pytestmark = [pytest.mark.slow, needs_timescaledb]

INIT = ("postgresql", "init", "--profile", "factory-dosing")
DOSE = "INSERT INTO dosing_consumption (time, device_id, pump, chemical, actual_g)"
HOURLY = "SELECT sum(dose_count), sum(total_grams) FROM dosing_consumption_hourly"


@pytest.fixture
def database(gateway: Gateway) -> Iterator[Timescale]:
    """An empty database with the extension; no policy runs by itself, so that tests say when."""
    database = Timescale("iiot_test")
    gateway.configure(f'[simulate]\n[postgresql]\nurl = "{database.url}"\n')
    yield database
    database.close()


@pytest.fixture
def plant_tables(gateway: Gateway, database: Timescale) -> Timescale:
    """The plant's tables."""
    ran(gateway, *INIT)
    database.rows("SELECT alter_job(job_id, scheduled => false) FROM timescaledb_information.jobs WHERE job_id >= 1000")
    return database


def ran(gateway: Gateway, *arguments: str) -> str:
    """Run a command that succeeds."""
    done = gateway.run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def sizes(gateway: Gateway) -> dict[str, dict[str, Any]]:
    """Return what `size` says of each table."""
    return {table["table"]: table for table in json.loads(ran(gateway, "postgresql", "size", "--json"))}


def test_init_twice_changes_nothing_and_every_policy_is_there(gateway: Gateway, database: Timescale) -> None:
    """Each statement of the schema is taken, the second time too; the newest hour is in the hourly view."""
    jobs = (
        "SELECT proc_name, hypertable_name, config ->> 'drop_after', config ->> 'compress_after', config ->> 'start_offset' "
        "FROM timescaledb_information.jobs WHERE job_id >= 1000 ORDER BY 1, 2"
    )
    ran(gateway, *INIT, "--retention", "batch_events=365")
    first = database.rows(jobs)
    ran(gateway, *INIT, "--retention", "batch_events=365")

    assert database.rows(jobs) == first
    assert [row[0] for row in first] == ["policy_compression"] * 5 + ["policy_refresh_continuous_aggregate"] + ["policy_retention"] * 6
    assert {row[1]: row[2] for row in first if row[0] == "policy_retention" and row[2] != "730 days"} == {
        "batch_events": "365 days",
        **dict.fromkeys(("dosing_consumption", "equipment_temperature", "equipment_vibration", "inventory_levels"), "90 days"),
    }
    assert {row[3] for row in first if row[0] == "policy_compression"} == {"7 days"}
    indexes = "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public' AND indexname LIKE 'idx_%'"
    assert database.value(indexes) == "11"
    database.rows(f"{DOSE} VALUES (now(), 'd', 1, 'acid', 1.5)")
    assert database.rows(HOURLY) == [["1", "1.5"]]
    for role, sql in (("iiot_writer", "SELECT * FROM dosing_consumption"), ("iiot_reader", f"{DOSE} VALUES (now(), 'd', 1, 'a', 1)")):
        with pytest.raises(RuntimeError, match="permission denied"):
            database.rows(f"SET ROLE {role}; {sql}")
    database.rows("SET ROLE iiot_reader; SELECT * FROM dosing_consumption_hourly, latest_inventory")


def test_the_writer_writes_without_partitions(gateway: Gateway, plant: Plant, plant_tables: Timescale) -> None:
    """With `fixed` tables and a role that may only write; chunks come by themselves."""
    configure(gateway, plant.broker, plant_tables.url.replace("postgres@", "iiot_writer@"), 'tables = "fixed"')
    start(gateway)
    plant.doses(range(40))

    status = delivered(gateway, 40)

    assert status["sinks"]["postgresql"]["timescaledb"].startswith("2.")
    assert [int(row[0]) for row in plant_tables.rows("SELECT actual_g::bigint FROM dosing_consumption ORDER BY 1")] == list(range(40))
    assert gateway.stop() == 0


@pytest.mark.parametrize("unique", [False, True])
def test_managed_tables_are_hypertables(gateway: Gateway, plant: Plant, database: Timescale, *, unique: bool) -> None:
    """Also with a unique key, which must contain the time; `size` sees their chunks."""
    configure(gateway, plant.broker, database.url, f"unique = {str(unique).lower()}")
    start(gateway)
    plant.doses(range(40))
    delivered(gateway, 40)
    assert gateway.stop() == 0

    assert database.rows("SELECT hypertable_name FROM timescaledb_information.hypertables") == [["dosing_consumption"]]
    assert database.value("SELECT count(DISTINCT actual_g) FROM dosing_consumption") == "40"
    assert sizes(gateway)["dosing_consumption"]["parts"] == 1


def test_late_rows_go_into_compressed_chunks(gateway: Gateway, plant: Plant, plant_tables: Timescale) -> None:
    """By the sink's COPY; `size` says what compression saves; `maintain` brings late hours into the hourly view."""
    database = plant_tables
    dated = gateway.folder / "dated.toml"
    dated.write_text(profile_path(gateway.folder, "factory-dosing").read_text().replace("unix_s_or_uptime_ms", "unix_s"))
    old_s = int(database.value("SELECT extract(epoch FROM date_trunc('hour', now()) - interval '20 days')::bigint"))
    database.rows(f"{DOSE} SELECT to_timestamp({old_s}) + n * interval '1 s', 'd', 1, 'acid', 1 FROM generate_series(0, 2999) AS n")
    database.rows("SELECT compress_chunk(c) FROM show_chunks('dosing_consumption') AS c")
    ran(gateway, "postgresql", "maintain")
    assert database.rows(HOURLY) == [["3000", "3000"]]
    configure(gateway, plant.broker, database.url, 'tables = "fixed"', "dated.toml")
    start(gateway)
    for number in range(10):
        plant.dose(number, timestamp=old_s + 10 + number).wait_for_publish(10.0)

    delivered(gateway, 10)
    assert gateway.stop() == 0

    assert database.value("SELECT count(*) FROM dosing_consumption WHERE device_id <> 'd'") == "10"
    size = sizes(gateway)["dosing_consumption"]
    assert (size["compressed_parts"], size["before_bytes"] > size["after_bytes"] > 0) == (1, True)
    assert "compressed parts" in ran(gateway, "postgresql", "size")
    assert database.rows(HOURLY) == [["3000", "3000"]]
    ran(gateway, "postgresql", "maintain")
    assert database.rows(HOURLY) == [["3010", "3045"]]


def test_a_row_that_a_hypertable_refuses_is_a_reject(gateway: Gateway, plant: Plant, plant_tables: Timescale) -> None:
    """A constraint on a hypertable names the row as well; the others go in."""
    plant_tables.rows("ALTER TABLE dosing_consumption ADD CONSTRAINT plausible CHECK (actual_g < 15)")
    configure(gateway, plant.broker, plant_tables.url, 'tables = "fixed"')
    start(gateway)
    plant.doses(range(30))

    status = delivered(gateway, 30)

    assert (status["sinks"]["postgresql"]["delivered"], status["sinks"]["postgresql"]["rejected"]) == (15, 15)
    assert all("plausible" in reject["reason"] for reject in gateway.ask("rejects"))
    assert gateway.stop() == 0


def test_a_refresh_stays_inside_of_the_raw_retention(gateway: Gateway, plant_tables: Timescale) -> None:
    """Hours whose rows were dropped stay, even if a late row comes there; the refresh of everything that guides advise deletes them."""
    database = plant_tables
    for days in (200, 100, 10):
        database.rows(
            f"{DOSE} SELECT now() - interval '{days} days' - n * interval '1 hour', 'd', 1, 'acid', 1 FROM generate_series(0, 9) AS n"
        )
    database.rows("CALL refresh_continuous_aggregate('dosing_consumption_hourly', NULL, NULL)")
    database.rows("SELECT drop_chunks('dosing_consumption', INTERVAL '90 days')")
    assert database.rows(HOURLY) == [["30", "30"]]
    database.rows(f"{DOSE} VALUES (now() - interval '100 days', 'd', 1, 'acid', 5), (now() - interval '10 days', 'd', 1, 'acid', 5)")

    told = ran(gateway, "postgresql", "maintain", "--dry-run")
    ran(gateway, "postgresql", "maintain")

    assert "would refresh dosing_consumption_hourly from" in told
    assert database.rows(HOURLY) == [["31", "35"]]
    ran(gateway, "postgresql", "maintain")
    assert database.rows(HOURLY) == [["31", "35"]]
    database.rows("CALL refresh_continuous_aggregate('dosing_consumption_hourly', NULL, NULL)")
    assert database.rows(HOURLY) == [["12", "20"]]


def test_maintain_waits_while_a_policy_does_the_same(gateway: Gateway, plant_tables: Timescale) -> None:
    """It tries again; without patience it says what it left undone, and vacuums all the same."""
    database = plant_tables
    database.rows(f"{DOSE} SELECT now() - n * interval '1 hour', 'd', 1, 'acid', 1 FROM generate_series(3, 90) AS n")
    kept = database.value(
        "SELECT format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name) "
        "FROM timescaledb_information.continuous_aggregates"
    )
    psql = subprocess.Popen(["psql", "-Xq", "-d", database.url], stdin=subprocess.PIPE, text=True)
    assert psql.stdin is not None
    psql.stdin.write(f"BEGIN; LOCK TABLE {kept} IN ACCESS EXCLUSIVE MODE;\n")
    psql.stdin.flush()
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'iiot_test' AND wait_event_type = 'Lock'"
    until(lambda: database.value("SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation = "
                                 f"'{kept}'::regclass") == "1", "the lock")  # fmt: skip
    policy = threading.Thread(
        target=database.rows, args=("CALL refresh_continuous_aggregate('dosing_consumption_hourly', now() - interval '3 days', now())",)
    )
    policy.start()
    until(lambda: database.value(waiting) == "1", "a refresh that waits for the lock")

    hasty = gateway.run("postgresql", "maintain", "--wait", "0.1")
    assert hasty.returncode == 1
    assert "left undone" in hasty.stderr
    assert "vacuumed dosing_consumption" in hasty.stdout
    gateway.start("postgresql", "maintain")
    psql.stdin.write("COMMIT;\n")
    psql.stdin.close()
    policy.join()
    assert gateway.wait() == 0, gateway.log()
    assert "refreshed dosing_consumption_hourly" in gateway.log()
    psql.wait(10)
    assert database.rows(HOURLY) == [["88", "88"]]


def test_time_bucket_without_the_extension_is_the_extension_s(database: Timescale) -> None:
    """For all widths that dashboards use, over 28 years."""
    database.rows(f"CREATE SCHEMA ours; {postgres_time_bucket('ours', 150000)}")
    other = (
        "SELECT count(*), count(*) FILTER (WHERE ours.time_bucket(w, t) IS DISTINCT FROM public.time_bucket(w, t)) FROM "
        "unnest(ARRAY['1 hour', '15 min', '7 hours', '1 day', '1 week', '1 month', '3 months', '1 year', '3600.000s']::interval[]) AS w, "
        "generate_series('1999-01-01 00:00Z'::timestamptz, '2027-01-01 00:00Z', '13 hours 7 minutes') AS t"
    )
    ((compared, differ),) = database.rows(other)
    assert int(compared) > 100_000
    assert differ == "0"


def test_numbers_are_there_once_over_kills(gateway: Gateway, plant: Plant, plant_tables: Timescale) -> None:
    """The position moves in the transaction of a hypertable's rows too."""
    configure(gateway, plant.broker, plant_tables.url, 'tables = "fixed"\nbatch_rows = 100')
    start(gateway)
    for part in range(4):
        plant.doses(range(part * 500, part * 500 + 500))
        gateway.kill9()
        start(gateway)
    delivered(gateway, 2000)
    assert numbers(plant_tables) == list(range(2000))
    assert gateway.stop() == 0
