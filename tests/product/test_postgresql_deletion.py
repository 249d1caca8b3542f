"""Rows of a device deleted from PostgreSQL, and the hourly sums afterwards: those of the rows that stay, in every hour that was touched."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateways import Gateway
from iiot_gateway.config.load import examine
from iiot_gateway.device_api.postgresql_deletion import PostgresqlKeeper
from iiot_gateway.sinks.postgresql.section import PostgresqlSection
from servers import Postgres, find_program, until
from timescale import Database, Timescale, needs_timescaledb

pytestmark = [pytest.mark.native, pytest.mark.slow]

BEGIN_S = 1_793_491_200
"""2026-11-01T00:00:00Z."""
HOUR_S = 3600
ROWS = (
    "INSERT INTO dosing_consumption (time, device_id, pump, chemical, recipe, actual_g, duration_ms) "
    f"SELECT to_timestamp({BEGIN_S}) + n * interval '1 min', device, 1, CASE n % 3 WHEN 0 THEN 'acid' ELSE 'base' END, "
    "CASE n % 2 WHEN 0 THEN 'r' END, n * 0.5, CASE n % 5 WHEN 0 THEN NULL ELSE n END "
    "FROM generate_series(0, 599) AS n, unnest(ARRAY['one', 'two']) AS devices (device)"
)
KEPT = "SELECT device_id, bucket, chemical, recipe, dose_count, total_grams, avg_duration_ms::float8 FROM dosing_consumption_hourly"
MADE = (
    "SELECT device_id, date_trunc('hour', time, 'UTC') AS bucket, chemical, recipe, count(*), sum(actual_g), avg(duration_ms)::float8 "
    "FROM dosing_consumption GROUP BY 1, 2, 3, 4"
)


@pytest.fixture
def plain(gateway: Gateway, launch: Callable[..., Postgres]) -> Postgres:
    """The plant's tables in plain PostgreSQL, with ten hours of two devices."""
    database = launch(Postgres)
    filled(gateway, database)
    return database


@pytest.fixture
def timescale(gateway: Gateway) -> Iterator[Timescale]:
    """The same with the extension."""
    database = Timescale("iiot_deletions")
    filled(gateway, database)
    yield database
    database.close()


def filled(gateway: Gateway, database: Database) -> None:
    """Make the tables and their rows."""
    gateway.configure(f'[simulate]\n[postgresql]\nurl = "{database.url}"\n')
    done = gateway.run("postgresql", "init", "--profile", "factory-dosing")
    assert done.returncode == 0, done.stderr
    if isinstance(database, Postgres):
        begin = f"to_timestamp({BEGIN_S}) - interval '1 day'"
        database.rows(f"SELECT iiot_gateway_add_partition('dosing_consumption', 'of_the_test', {begin}, {begin} + interval '7 days')")
    database.rows(ROWS)


def keeper(folder: Path, database: Database, user: str = "") -> PostgresqlKeeper:
    """What deletes from a database."""
    file = folder / "deleting.toml"
    url = database.url.replace("postgres@", f"{user}@") if user else database.url
    file.write_text(f'[postgresql]\nurl = "{url}"\n')
    config, faults = examine(str(file))
    assert not faults
    return PostgresqlKeeper("postgresql", config.of(PostgresqlSection)["postgresql"])


def assert_sums_are_those_of_the_rows(database: Database) -> None:
    """Every hour of every device."""
    order = "ORDER BY 1, 2, 3, 4"
    assert database.rows(f"{KEPT} {order}") == database.rows(f"{MADE} {order}")


def delete(keeper: PostgresqlKeeper, start_s: float, stop_s: float) -> None:
    """Delete what one device sent, in seconds behind the beginning."""
    keeper.delete("one", int((BEGIN_S + start_s) * 1e9), int((BEGIN_S + stop_s) * 1e9))


def rows(database: Database, device: str) -> int:
    """How many rows of a device there are."""
    return int(database.value(f"SELECT count(*) FROM dosing_consumption WHERE device_id = '{device}'"))


@pytest.mark.parametrize(
    ("start_s", "stop_s", "left"),
    [
        (30 * 60, 4 * HOUR_S + 600, 380),  # parts of two hours, and three whole ones
        (2 * HOUR_S, 3 * HOUR_S, 540),  # a whole hour
        (2 * HOUR_S + 60, 2 * HOUR_S + 180, 598),  # within one hour
        (-HOUR_S * 1000, HOUR_S * 1000, 0),
        (HOUR_S * 100, HOUR_S * 101, 600),
    ],
)
def test_the_sums_of_the_hours_that_are_touched_are_those_of_the_rows_that_stay(
    tmp_path: Path, plain: Postgres, start_s: float, stop_s: float, left: int
) -> None:
    """Twice changes nothing."""
    assert_sums_are_those_of_the_rows(plain)
    for _ in range(2):
        delete(keeper(tmp_path, plain), start_s, stop_s)

        assert (rows(plain, "one"), rows(plain, "two")) == (left, 600)
        assert_sums_are_those_of_the_rows(plain)


def test_sums_whose_rows_are_past_their_retention_stay_but_for_whole_hours(tmp_path: Path, plain: Postgres) -> None:
    """The part of an hour that is to go cannot be told from the rest any more."""
    plain.rows("DELETE FROM dosing_consumption WHERE device_id = 'one'")
    before = plain.rows(f"{KEPT} WHERE device_id = 'one' ORDER BY 1, 2, 3, 4")

    delete(keeper(tmp_path, plain), 30 * 60, 2 * HOUR_S + 60)

    after = plain.rows(f"{KEPT} WHERE device_id = 'one' ORDER BY 1, 2, 3, 4")
    hours = sorted({row[1] for row in before})
    assert sorted({row[1] for row in after}) == [hours[0], *hours[2:]]


def test_a_row_that_comes_in_the_middle_is_counted_once(tmp_path: Path, plain: Postgres) -> None:
    """Of an hour at the end of the span, and the first of its chemical, so that no sum is there that would be locked already."""
    psql = find_program("psql")
    assert psql is not None
    holder = subprocess.Popen([psql, "-XAtq", "-d", plain.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdin is not None
    assert holder.stdout is not None
    # A row of the span, so that the deletion waits between the sums and the rows.
    first = f"SELECT actual_g FROM dosing_consumption WHERE device_id = 'one' AND time = to_timestamp({BEGIN_S + 1800})"
    holder.stdin.write(f"BEGIN; {first} FOR UPDATE;\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == "15\n"
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"

    deleting = threading.Thread(target=delete, args=(keeper(tmp_path, plain), 1800, 2400))
    deleting.start()
    until(lambda: plain.value(waiting) == "1", "the deletion that waits")
    columns = "time, device_id, pump, chemical, actual_g"
    row = f"INSERT INTO dosing_consumption ({columns}) VALUES (to_timestamp({BEGIN_S + 60}), 'one', 1, 'salt', 1)"
    adding = threading.Thread(target=plain.rows, args=(row,))
    adding.start()
    until(lambda: plain.value(waiting) == "2" or not adding.is_alive(), "the row that waits or is there")
    holder.stdin.write("COMMIT;\n")
    holder.stdin.close()
    for each in (deleting, adding):
        each.join()
    holder.stdout.close()
    assert holder.wait() == 0

    assert rows(plain, "one") == 600 - 10 + 1
    assert_sums_are_those_of_the_rows(plain)


def test_a_role_that_may_only_write_is_told_before_anything_is_deleted(tmp_path: Path, gateway: Gateway, plain: Postgres) -> None:
    """With the statement that lets it delete."""
    del gateway
    refusal = keeper(tmp_path, plain, "iiot_writer").refusal()

    assert refusal is not None
    assert (refusal.status, refusal.error) == (501, "delete_unsupported")
    assert "public.dosing_consumption_hourly_sums" in refusal.message
    tables = "dosing_consumption, batch_events, inventory_levels, equipment_temperature, equipment_vibration"
    plain.rows(f"GRANT SELECT, DELETE ON {tables} TO iiot_writer")
    plain.rows("GRANT SELECT, INSERT, DELETE ON dosing_consumption_hourly_sums TO iiot_writer")
    allowed = keeper(tmp_path, plain, "iiot_writer")
    assert allowed.refusal() is None
    delete(allowed, 600, HOUR_S)
    assert_sums_are_those_of_the_rows(plain)


@needs_timescaledb
def test_a_continuous_aggregate_is_refreshed(tmp_path: Path, timescale: Timescale) -> None:
    """The hours of the span, and no others."""
    timescale.rows("CALL refresh_continuous_aggregate('dosing_consumption_hourly', NULL, NULL)")

    delete(keeper(tmp_path, timescale), 30 * 60, 4 * HOUR_S + 600)

    assert rows(timescale, "one") == 380
    assert_sums_are_those_of_the_rows(timescale)
