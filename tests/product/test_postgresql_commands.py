"""`postgresql query|size|maintain` on a PostgreSQL without the extension."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateways import Gateway
from servers import Postgres

pytestmark = pytest.mark.slow

INIT = ("postgresql", "init", "--profile", "factory-dosing")
PARTITIONS = "SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = '{}'::regclass"


@pytest.fixture
def database(gateway: Gateway, launch: Callable[..., Postgres]) -> Postgres:
    """A server with the plant's tables, in which nothing is yet."""
    database = launch(Postgres)
    gateway.configure(f'[simulate]\n[postgresql]\nurl = "{database.url}"\n')
    assert gateway.run(*INIT).returncode == 0
    return database


def ran(gateway: Gateway, *arguments: str) -> str:
    """Run an action that succeeds."""
    done = gateway.run("postgresql", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def document(gateway: Gateway, *arguments: str) -> list[dict[str, Any]]:
    """Run an action, and return what it prints as JSON."""
    found: list[dict[str, Any]] = json.loads(ran(gateway, *arguments, "--json"))
    return found


def partitions(database: Postgres, table: str) -> set[str]:
    """Return the names of a table's partitions."""
    return {name for (name,) in database.rows(PARTITIONS.format(table))}


def test_query_gives_the_newest_row_of_each_series(gateway: Gateway, database: Postgres) -> None:
    """Series are those of the columns that must be there; filters, spans and columns of one's own are obeyed; nothing is SQL."""
    ran(gateway, "maintain")
    database.rows(
        "INSERT INTO inventory_levels (time, device_id, chemical, percent_full) VALUES "
        "(now() - interval '3 min', 'd1', 'acid', 90), (now() - interval '1 min', 'd1', 'acid', 80.5), (now(), 'd1', E'b''\\nx', 10), "
        "(now(), 'd2', 'acid', 20)"
    )

    newest = document(gateway, "query", "inventory_levels")
    assert [(row["device_id"], row["chemical"], row["percent_full"]) for row in newest] == [
        ("d1", "acid", 80.5),
        ("d1", "b'\nx", 10),
        ("d2", "acid", 20),
    ]
    assert 60 <= newest[0]["age_s"] < 120
    of_acid = document(gateway, "query", "inventory_levels", "--where", "chemical=acid", "--by", "chemical")
    assert [row["percent_full"] for row in of_acid] == [20]
    lately = document(gateway, "query", "inventory_levels", "--since", "30s", "--where", "chemical=acid")
    assert [row["percent_full"] for row in lately] == [20]
    assert len(document(gateway, "query", "inventory_levels", "--limit", "1")) == 1
    assert document(gateway, "query", "inventory_levels", "--where", "chemical=' OR true --") == []
    assert "b'\\nx" in ran(gateway, "query", "inventory_levels")
    tables = {row["table"]: row["rows"] for row in document(gateway, "query")}
    assert (tables["inventory_levels"], tables["dosing_consumption"], len(tables)) == ("4", "0", 5)


def test_query_says_what_there_is_instead(gateway: Gateway, database: Postgres) -> None:
    """A wrong table, column or value is named, with those that there are."""
    for arguments, words in {
        ("query", "dosing"): "there are batch_events, dosing_consumption",
        ("query", "batch_events", "--where", "x=1"): "has no column x; there are device_id, event",
        ("query", "batch_events", "--where", "pumps=x"): "invalid input syntax for type integer",
        ("query", "--where", "x=1"): "--where goes with a table",
    }.items():
        done = gateway.run("postgresql", *arguments)
        assert (done.returncode, words in done.stderr) == (1, True), done.stderr
    assert "no rows" in ran(gateway, "query", "batch_events")
    assert database.value("SELECT count(*) FROM batch_events") == "0"


def test_size_is_what_the_server_says(gateway: Gateway, database: Postgres) -> None:
    """Rows, indexes and partitions of each table, the hourly sums among them."""
    ran(gateway, "maintain")
    database.rows(
        "INSERT INTO dosing_consumption (time, device_id, pump, chemical, actual_g) "
        "SELECT now(), 'd', 1, 'acid', n FROM generate_series(1, 5000) AS n; VACUUM (ANALYZE) dosing_consumption"
    )

    found = {table["table"]: table for table in document(gateway, "size")}

    dosing = found["dosing_consumption"]
    total = database.value("SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('dosing_consumption')")
    assert (dosing["rows"], dosing["parts"], str(dosing["total_bytes"])) == (5000, 2, total)
    assert dosing["table_bytes"] + dosing["index_bytes"] == dosing["total_bytes"]
    assert sum(dosing["indexes"].values()) == dosing["index_bytes"]
    assert set(dosing["indexes"]) == {"idx_dosing_device_time", "idx_dosing_chemical_time", "idx_dosing_recipe_time", "idx_dosing_pump"}
    assert found["dosing_consumption_hourly_sums"]["total_bytes"] > 0
    printed = ran(gateway, "size")
    assert "idx_dosing_pump" in printed
    assert "compressed" not in printed


def test_maintain_makes_partitions_drops_old_ones_and_vacuums(gateway: Gateway, database: Postgres) -> None:
    """What is past its retention goes, by the function of `init`; a second time there is nothing left to make or drop."""
    database.rows(
        "SELECT iiot_gateway_add_partition('batch_events', 'batch_events_old', '2023-01-02', '2023-01-09');"
        "INSERT INTO batch_events VALUES ('2023-01-04 10:10Z', 'd', 'start')"
    )
    told = ran(gateway, "maintain", "--dry-run")
    assert told.count("would make partition") == 10
    assert 'would call "public"."iiot_gateway_retain"()' in told
    assert partitions(database, "batch_events") == {"batch_events_old"}

    did = ran(gateway, "maintain")

    assert "dropped partition batch_events_old" in did
    assert len(partitions(database, "batch_events")) == 2
    database.rows("INSERT INTO batch_events VALUES (now(), 'd', 'start'), (now() + interval '7 days', 'd', 'start')")
    vacuumed = "SELECT count(*) FROM pg_stat_user_tables WHERE last_vacuum IS NOT NULL AND relname LIKE 'batch_events_%'"
    assert database.value(vacuumed) == "2"
    again = ran(gateway, "maintain")
    assert "made" not in again
    assert "dropped" not in again


def test_maintain_drops_what_the_section_says(gateway: Gateway, database: Postgres) -> None:
    """Where the gateway makes the tables itself, `retention_days` decides; other tables stay."""
    database.rows("DROP FUNCTION iiot_gateway_retain, iiot_gateway_add_partition")
    for table in ("batch_events", "inventory_levels"):
        database.rows(f"CREATE TABLE {table}_old PARTITION OF {table} FOR VALUES FROM ('2023-01-02') TO ('2023-01-09')")
    gateway.configure(f'[simulate]\n[postgresql]\nurl = "{database.url}"\nretention_days = {{ batch_events = 30 }}\n')

    assert "would drop partition batch_events_old" in ran(gateway, "maintain", "--dry-run")
    ran(gateway, "maintain")

    assert len(partitions(database, "batch_events")) == 2
    assert "inventory_levels_old" in partitions(database, "inventory_levels")


def test_a_table_of_another_role_is_not_said_to_be_vacuumed(gateway: Gateway, database: Postgres) -> None:
    """The server only warns about it; the exit code says that something was left undone."""
    done = gateway.run("postgresql", "maintain", "--url", database.url_of("iiot_writer"))

    assert done.returncode == 1
    assert "dosing_consumption belongs to another role" in done.stderr
    assert "vacuumed" not in done.stdout


def test_who_may_not_make_roles_is_told_so_before_anything_is_made(gateway: Gateway, launch: Callable[..., Postgres]) -> None:
    """The remedies are those that help: with the roles, or with the right to make them, the same command succeeds."""
    database = launch(Postgres)
    database.rows("CREATE ROLE owner LOGIN")
    gateway.configure("[simulate]\n")
    for name, remedy in {
        "one": "CREATE ROLE iiot_writer LOGIN; CREATE ROLE iiot_reader LOGIN",
        "two": "ALTER ROLE owner CREATEROLE",
    }.items():
        database.rows(f"CREATE DATABASE {name} OWNER owner")
        url = database.url_of("owner", name)

        refused = gateway.run(*INIT, "--url", url)

        assert refused.returncode == 1
        for part in ("42501", "ALTER ROLE ... CREATEROLE", '(CREATE ROLE "iiot_writer" LOGIN; CREATE ROLE "iiot_reader" LOGIN)'):
            assert part in refused.stderr
        assert "no table with a time" in ran(gateway, "query", "--url", url)
        database.rows(remedy)
        done = gateway.run(*INIT, "--url", url)
        assert done.returncode == 0, done.stderr
        assert "no table with a time" not in ran(gateway, "query", "--url", url)
        if name == "one":
            database.rows("DROP OWNED BY iiot_writer, iiot_reader")
            database.rows("DROP DATABASE one")
            database.rows("DROP ROLE iiot_writer, iiot_reader")


def test_the_password_of_another_role_comes_from_pgpassword(
    gateway: Gateway, launch: Callable[..., Postgres], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --url the section's password is not sent, and no section is needed."""
    local = "host all postgres 127.0.0.1/32 trust\n"
    database = launch(Postgres, access=local + "host all all 127.0.0.1/32 scram-sha-256\n")
    database.rows("CREATE ROLE owner LOGIN PASSWORD 'open sesame'; CREATE DATABASE plant OWNER owner")
    url = database.url_of("owner", "plant")
    gateway.configure("[simulate]\n")
    assert "password" in gateway.run("postgresql", "query", "--url", url).stderr
    monkeypatch.setenv("PGPASSWORD", "open sesame")

    assert "no table with a time" in ran(gateway, "query", "--url", url)
