"""`postgresql init` against a real server: the plant's tables, views and roles do what their names say, and twice changes nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from gateways import Gateway
from plants import Plant
from servers import Postgres, find_program, until

pytestmark = pytest.mark.slow

INIT = ("postgresql", "init", "--profile", "factory-dosing")
PLANT_TABLES = ("dosing_consumption", "batch_events", "inventory_levels")


@pytest.fixture
def database(gateway: Gateway, launch: Callable[..., Postgres]) -> Postgres:
    """A server on which the plant's tables are made."""
    database = launch(Postgres)
    gateway.configure(f'[simulate]\n[postgresql]\nurl = "{database.url}"\n')
    return database


def made(gateway: Gateway, *more: str) -> str:
    """Run `init`; return what it printed."""
    done = gateway.run(*INIT, *more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def dumped(database: Postgres) -> list[str]:
    """Return the whole schema as statements."""
    dump = find_program("pg_dump")
    assert dump is not None
    done = subprocess.run([dump, "-s", "-d", database.url], capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if not line.startswith(("\\", "--"))]


def refusal(database: Postgres, role: str, sql: str) -> str:
    """Return why a role may not do something."""
    with pytest.raises(RuntimeError) as refused:
        database.rows(f"SET ROLE {role}; {sql}")
    return str(refused.value)


def test_twice_changes_nothing_and_a_dry_run_prints_the_same(gateway: Gateway, database: Postgres, launch: Callable[..., Postgres]) -> None:
    """The printed statements, given to psql, make what `init` makes."""
    printed = made(gateway, "--dry-run")
    assert database.rows("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace") == []

    made(gateway)
    first = dumped(database)
    made(gateway)

    assert dumped(database) == first
    other = launch(Postgres)
    other.rows(printed)
    assert dumped(other) == first


def test_the_tables_are_those_of_the_plant(gateway: Gateway, database: Postgres) -> None:
    """Columns and their types, what must be there, and the nine indexes."""
    made(gateway)

    columns = "SELECT column_name, data_type, is_nullable FROM information_schema.columns"
    found = database.rows(f"{columns} WHERE table_name = 'dosing_consumption' ORDER BY ordinal_position")
    assert [(name, kind) for name, kind, _null in found] == [
        ("time", "timestamp with time zone"),
        ("device_id", "text"),
        ("pump", "integer"),
        ("chemical", "text"),
        ("target_g", "double precision"),
        ("actual_g", "double precision"),
        ("error_g", "double precision"),
        ("recipe", "text"),
        ("mode", "text"),
        ("duration_ms", "bigint"),
    ]
    assert [name for name, _kind, null in found if null == "NO"] == ["time", "device_id", "pump", "chemical"]
    indexes = database.rows(f"SELECT indexname FROM pg_indexes WHERE tablename IN {PLANT_TABLES}")
    assert sorted(name for (name,) in indexes) == [
        "idx_batch_device_time",
        "idx_batch_event_time",
        "idx_batch_recipe_time",
        "idx_dosing_chemical_time",
        "idx_dosing_device_time",
        "idx_dosing_pump",
        "idx_dosing_recipe_time",
        "idx_inventory_chemical_time",
        "idx_inventory_device_time",
    ]


def test_the_writer_only_writes_and_the_reader_only_reads(gateway: Gateway, plant: Plant, database: Postgres) -> None:
    """As the writer the gateway makes partitions and drops old ones, by the functions that `init` made."""
    made(gateway, "--retention", "dosing_consumption=30")
    database.rows(
        "SELECT iiot_gateway_add_partition('dosing_consumption', 'dosing_consumption_old', '2023-01-02', '2023-01-09');"
        "INSERT INTO dosing_consumption (time, device_id, pump, chemical, actual_g) VALUES ('2023-01-04 10:10Z', 'd9', 1, 'acid', 1.5)"
    )
    gateway.configure(
        f'[mqtt_consumer]\nbroker_url = "{plant.broker.url}"\ntopics = ["factory/#"]\nprofile = "factory-dosing"\n'
        f'[postgresql]\nurl = "{database.url_of("iiot_writer")}"\ntables = "fixed"\n',
    )
    gateway.start("run")
    gateway.until(lambda status: status["source"]["mqtt_consumer"]["state"] == "subscribed", "the subscription")
    plant.doses(range(20))
    gateway.until(lambda status: status["sinks"]["postgresql"]["delivered"] == 20, "doses in the database")
    until(lambda: "sink_partition_dropped" in gateway.log(), "a partition that is dropped")

    assert database.rows("SELECT count(*), sum(actual_g) FROM dosing_consumption") == [["20", "190"]]
    assert database.rows("SELECT sum(dose_count), sum(total_grams) FROM dosing_consumption_hourly") == [["20", "190"]]
    for sql in ("SELECT * FROM dosing_consumption", "DELETE FROM dosing_consumption", "CREATE TABLE x ()"):
        assert "permission denied" in refusal(database, "iiot_writer", sql)
    assert "must be owner" in refusal(database, "iiot_writer", "DROP TABLE dosing_consumption")
    for sql in ("INSERT INTO batch_events VALUES (now(), 'd', 'start')", "SELECT iiot_gateway_retain()", "TABLE iiot_gateway_position"):
        assert "permission denied" in refusal(database, "iiot_reader", sql)
    database.rows("SET ROLE iiot_reader; SELECT * FROM dosing_consumption_hourly, latest_inventory")


def test_hourly_sums_and_the_newest_levels(gateway: Gateway, database: Postgres) -> None:
    """A late dose is in its hour, and a full container does not hide an empty one."""
    made(gateway)
    week = "SELECT date_trunc('week', now(), 'UTC')"
    database.rows(
        f"SELECT iiot_gateway_add_partition(name, name || '_now', ({week}), ({week}) + interval '7 days') "
        "FROM unnest(ARRAY['dosing_consumption', 'inventory_levels']) AS names (name)"
    )
    for grams in (1.5, 2.5):
        database.rows(
            f"INSERT INTO dosing_consumption (time, device_id, pump, chemical, actual_g) "
            f"VALUES (({week}) + interval '70 min', 'd', 1, 'acid', {grams})"
        )
    assert database.rows("SELECT dose_count, total_grams, avg_grams, avg_error FROM dosing_consumption_hourly") == [["2", "4", "2", ""]]
    is_hour = f"bucket = ({week}) + interval '1 hour' AND bucket = time_bucket('1 hour', bucket + interval '5 min')"
    assert database.value(f"SELECT {is_hour} FROM dosing_consumption_hourly") == "t"

    database.rows(
        "INSERT INTO inventory_levels (time, device_id, chemical, percent_full, container_id) "
        "VALUES (now(), 'd', 'acid', 0, 'a'), (now(), 'd', 'acid', 100, 'b'), (now() - interval '1 s', 'd', 'acid', 50, 'a')"
    )
    newest = "SELECT container_id, percent_full FROM latest_inventory ORDER BY 1"
    assert database.rows(newest) == [["a", "0"], ["b", "100"]]


def test_the_tables_may_come_before_the_configuration(gateway: Gateway, launch: Callable[..., Postgres]) -> None:
    """With the URL of the owner no section is needed; without both it is said."""
    gateway.configure("[simulate]\n")
    assert "no section [postgresql]" in gateway.run(*INIT).stderr
    database = launch(Postgres)

    assert "iiot_writer" in made(gateway, "--url", database.url)

    assert database.value("SELECT count(*) FROM dosing_consumption") == "0"


def test_a_retention_of_an_unknown_table_is_refused(gateway: Gateway, database: Postgres) -> None:
    """With the names that there are."""
    done = gateway.run(*INIT, "--retention", "dosing=30")

    assert done.returncode == 1
    assert "there are dosing_consumption, batch_events" in done.stderr


def test_unique_tables_take_equal_rows_once(gateway: Gateway, plant: Plant, database: Postgres) -> None:
    """As a fleet needs it: the role that only writes uses the key that its owner has made."""
    made(gateway, "--unique")
    other = database.url.replace("//postgres@", "//iiot_writer@")
    assert other != database.url
    database.rows("ALTER ROLE iiot_writer LOGIN")
    gateway.configure(
        f'[mqtt_consumer]\nbroker_url = "{plant.broker.url}"\ntopics = ["$share/store/factory/#"]\n'
        'profile = "factory-dosing"\ndedup_window_s = 0\n'
        f'[postgresql]\nurl = "{other}"\nunique = true\ntables = "fixed"\nbatch_interval_ms = 10\n'
    )
    gateway.start("run")
    gateway.until(lambda status: status["source"]["mqtt_consumer"]["state"] == "subscribed", "the subscription")
    for _ in range(2):
        plant.dose(1, timestamp=1_764_000_000)
    gateway.until(lambda status: status["sinks"]["postgresql"]["delivered"] == 2, "both doses")
    assert database.value("SELECT count(*) FROM dosing_consumption") == "1"
    assert database.value("SELECT sum(dose_count) FROM dosing_consumption_hourly") == "1"
