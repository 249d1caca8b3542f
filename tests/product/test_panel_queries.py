"""Every query of the plant's dashboards gives what is right, on the tables that `postgresql init` makes, with the extension and without."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from gateways import Gateway
from panels import MONDAY, PANELS, POINTS
from servers import Postgres
from timescale import Database, Timescale, needs_timescaledb

pytestmark = pytest.mark.slow

TABLES = ("dosing_consumption", "batch_events", "inventory_levels", "equipment_temperature", "equipment_vibration")
INIT = ("postgresql", "init", "--profile", "factory-dosing")


@pytest.fixture(params=["plain", pytest.param("timescaledb", marks=needs_timescaledb)])
def database(request: pytest.FixtureRequest, gateway: Gateway, launch: Callable[..., Postgres]) -> Iterator[Database]:
    """The plant's tables with known points in them."""
    database: Database = launch(Postgres) if request.param == "plain" else Timescale("iiot_panels")
    gateway.configure(f'[simulate]\n[postgresql]\nurl = "{database.url}"\n')
    done = gateway.run(*INIT)
    assert done.returncode == 0, done.stderr
    if request.param == "plain":
        for table in TABLES:
            database.rows(f"SELECT iiot_gateway_add_partition('{table}', '{table}_last', {MONDAY}, {MONDAY} + interval '7 days')")
    yield database
    if isinstance(database, Timescale):
        database.close()


def test_every_panel_and_alert_gives_what_is_right(database: Database) -> None:
    """The answers were worked out by hand from the points."""
    empty = {name: database.rows(sql) for name, (sql, _answer) in PANELS.items()}
    silent = next(name for name in PANELS if "silent" in name)
    assert [row[0] for row in empty[silent]] == ["d1", "d2", "d3"]
    for statement in POINTS:
        database.rows(statement)

    found = {name: database.rows(sql) for name, (sql, _answer) in PANELS.items()}

    assert found == {name: answer for name, (_sql, answer) in PANELS.items()}
