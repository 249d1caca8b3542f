"""Every query of the plant's dashboards shows what is right: in SQL with the extension and without, and in Flux where a server can run it.

The tables "panel, expected, seen" are printed, so that a run shows the figures and not only that they agree.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from asked import MOMENT, FluxServer, Rows, insert, needs_flux, shown_by_flux, shown_by_sql, table
from grafana import Chosen, Moment, as_flux, as_sql, boards, queries, with_variables
from iiot_gateway.cli.influxdb_plan import PLANS
from panels import MONDAY, NOW, POINTS, SHOWN, TEXTS, Point
from panels_of_nodes import DEVICES, NODES, OF_DEVICES, OF_NODES
from timescale import Database

pytestmark = pytest.mark.slow

ONE: Chosen = {"device": ["d1", "it's / (another)"], "chemical": "acid", "pump": ["1"]}
"""One device of two, with one whose name tries every escape."""
ITSELF = "What the database says of itself"
OF_ONE: dict[str, Rows] = {
    "Consumption today by chemical": [["acid", 23.5]],
    "Stock": [["d1 acid a, 12 h ago", 5], ["d1 acid b, 11 h ago", 99]],
    "Batches completed today by recipe": [["CU-85", 2]],
    "Health of each pump": [["d1 pump 1, 60 s ago", 74.5]],
    "Motor temperatures": [[54, "d1 pump_motor_1", 70]],
}


def test_every_panel_in_sql_shows_what_is_right(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the data source knows of the extension, for all devices and for one."""
    board = boards()["iiot-production-sql"]
    asked = {query.place.split(" / ")[1]: query for query in queries(board)}
    empty = {name: shown_by_sql(database, query, board, {}, is_timescale=True) for name, query in asked.items()}
    assert [name for name, rows in empty.items() if rows] == ["Accuracy: doses by error in grams", ITSELF]
    assert len([value for _figure, value in empty[ITSELF] if value != ""]) == 7
    del asked[ITSELF]
    insert(database, POINTS)

    for is_timescale in (True, False):
        seen = {name: shown_by_sql(database, query, board, {}, is_timescale=is_timescale) for name, query in asked.items()}
        with capsys.disabled():
            print(table((name, SHOWN[name], rows) for name, rows in seen.items()))
        assert seen == {name: SHOWN[name] for name in asked}
    one = {name: shown_by_sql(database, asked[name], board, ONE, is_timescale=True) for name in OF_ONE}
    assert one == OF_ONE


def test_the_variables_of_sql_list_what_there_is(database: Database) -> None:
    """Also the site, for which only tables that the gateway made itself have a column."""
    board = boards()["iiot-production-sql"]
    asked = {each["name"]: each["query"] for each in board["templating"]["list"] if each["type"] == "query"}
    insert(database, POINTS)

    def listed(**chosen: str) -> dict[str, list[str]]:
        return {name: [row[0] for row in database.rows(with_variables(query, board, chosen, MOMENT))] for name, query in asked.items()}

    assert listed() == {"site": [], "device": ["d1", "d2"], "pump": ["1", "2"], "chemical": ["acid", "base"]}
    database.rows("ALTER TABLE batch_events ADD COLUMN site text")
    database.rows("UPDATE batch_events SET site = CASE device_id WHEN 'd1' THEN 'north' ELSE 'south' END")

    assert listed()["site"] == ["north", "south"]
    assert listed(site="south")["device"] == ["d2"]


@needs_flux
@pytest.mark.parametrize(
    ("uid", "points", "shown"),
    [
        ("iiot-production-influx", (*POINTS, *TEXTS), SHOWN),
        ("iiot-lora-sensors", NODES, OF_NODES),
        ("iiot-lora-signal", NODES, OF_NODES),
        ("iiot-devices", DEVICES, OF_DEVICES),
    ],
)
def test_every_panel_in_flux_shows_what_is_right(
    uid: str, points: tuple[Point, ...], shown: dict[str, Rows], capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a plant the same as the SQL does."""
    board, server = boards()[uid], FluxServer()
    asked = {query.place.removeprefix(f"{uid} / "): query for query in queries(board)}
    assert [rows for query in asked.values() if (rows := shown_by_flux(server, query, board, {}))] == []
    server.write(points)

    seen = {name: shown_by_flux(server, query, board, {}) for name, query in asked.items()}

    with capsys.disabled():
        print(table((name, shown[name], rows) for name, rows in seen.items()))
    assert seen == {name: shown[name] for name in asked}


@needs_flux
def test_errors_in_whole_grams_are_counted_as_others_are() -> None:
    """Whoever else writes to the bucket may write integers."""
    server, board = FluxServer(), boards()["iiot-production-influx"]
    (accuracy,) = (query for query in queries(board) if query.place.endswith(" / Accuracy: doses by error in grams"))
    tags = {"device_id": "d9", "pump": "9", "chemical": "acid"}
    server.write([("dosing_consumption", f"{hour}h", tags, {"error_g": error_g}) for hour, error_g in enumerate((1, 1, -3, 2))])

    counted = {label: doses for label, doses in shown_by_flux(server, accuracy, board, {}) if doses}
    assert counted == {"up to -2": 1, "0.5 to 1": 2, "1 to 2": 1}


@needs_flux
def test_choices_reach_the_flux() -> None:
    """One device with one whose name tries every escape; one site of two, of which one has no name."""
    server, board = FluxServer(), boards()["iiot-production-influx"]
    server.write((*POINTS, *NODES))

    asked = {query.place.split(" / ")[1]: query for query in queries(board)}
    assert {name: shown_by_flux(server, asked[name], board, ONE) for name in OF_ONE} == OF_ONE
    board = boards()["iiot-lora-sensors"]
    (temperature,) = (query for query in queries(board) if query.place.endswith(" / Temperature"))
    assert shown_by_flux(server, temperature, board, {"site": "north"}) == [[30, "north node2", 18]]


@needs_flux
@pytest.mark.parametrize(
    ("uid", "points", "listed"),
    [
        ("iiot-production-influx", POINTS, {"site": [], "device": ["d1", "d2"], "pump": ["1", "2"], "chemical": ["acid", "base"]}),
        ("iiot-lora-sensors", (*NODES, *POINTS), {"site": ["north"]}),
        ("iiot-devices", (*NODES, *DEVICES), {"site": ["north"], "device": ["boiler", "roof"], "measurement": ["pressure", "temperature"]}),
    ],
)
def test_the_variables_of_flux_list_what_there_is(uid: str, points: tuple[Point, ...], listed: dict[str, list[str]]) -> None:
    """Of what the dashboard is about, and not of everything in its bucket."""
    server, board = FluxServer(), boards()[uid]
    server.write(points)

    found = {
        each["name"]: [
            row["_value"] for row in server.ask(as_flux(with_variables(each["query"]["query"], board, {}, MOMENT), MOMENT, server.bucket))
        ]
        for each in board["templating"]["list"]
        if each["type"] == "query"
    }

    assert found == listed


@needs_flux
def test_new_firmware_is_an_event_once() -> None:
    """A version that a node goes on with is none, nor is the one with which the time range begins."""
    server, board = FluxServer(), boards()["iiot-lora-sensors"]
    server.write(NODES)
    (event,) = (each for each in board["annotations"]["list"] if each["name"] == "New firmware")

    def events(moment: Moment) -> list[tuple[str, str]]:
        text = with_variables(event["target"]["query"], board, {}, moment)
        return [(row["title"], row["text"]) for row in server.ask(as_flux(text, moment, server.bucket))]

    assert sorted(events(MOMENT)) == [("Firmware of node1", "1.0"), ("Firmware of node1", "1.1")]
    assert events(replace(MOMENT, start=MONDAY + timedelta(hours=3))) == [("Firmware of node1", "1.1")]
    assert events(replace(MOMENT, start=MONDAY + timedelta(days=2))) == []


@needs_flux
def test_the_daily_task_sums_whole_days_from_their_start() -> None:
    """`influxdb init --plan` makes it. An hour later it writes the same sums again, and never those of the last hours over them."""
    server, plan = FluxServer(), PLANS["factory-dosing"]
    server.write(POINTS)
    text = re.sub(r"option task = .*\n", "", plan.flux("org")).replace(f'"{plan.raw}"', f'"{server.bucket}"')
    count = itertools.count()
    text = re.sub(r"\|> to\(.*\)", lambda _found: f'|> yield(name: "{next(count)}")', text)

    def written(now: datetime) -> set[tuple[str, str, str, str, float]]:
        rows = server.ask(f'import "date"\noption now = () => {now:%Y-%m-%dT%H:%M:%SZ}\n' + text.replace('import "date"', "", 1))
        assert {row["_measurement"] for row in rows} == {"dosing_daily"}
        return {(row["_time"][:10], row["device_id"], row["mode"], row["_field"], round(float(row["_value"]), 4)) for row in rows}

    tuesday, wednesday = f"{MONDAY + timedelta(days=1):%Y-%m-%d}", f"{MONDAY + timedelta(days=2):%Y-%m-%d}"
    sums = {(day, device, mode, value) for day, device, mode, field, value in written(NOW) if field == "actual_g_sum"}
    assert sums == {(tuesday, "d2", "hand", 5.25), (wednesday, "d1", "auto", 11), (wednesday, "d1", "hand", 12.5)}
    assert written(NOW) == written(NOW + timedelta(hours=1))


VIEWS: dict[str, tuple[str, list[list[str]]]] = {
    "the hourly sums": (
        """SELECT extract(epoch FROM bucket - {monday})::int / 3600, chemical, sum(total_grams), sum(dose_count)
        FROM dosing_consumption_hourly GROUP BY 1, 2 ORDER BY 1, 2""",
        [
            ["1", "acid", "34", "3"],
            ["1", "base", "4.5", "1"],
            ["2", "acid", "30", "1"],
            ["2", "base", "", "1"],
            ["47", "base", "5.25", "1"],
            ["49", "acid", "11", "1"],
            ["50", "acid", "12.5", "1"],
        ],
    ),
    "days by time_bucket": (
        """SELECT extract(epoch FROM day - {monday})::int / 3600, sum(actual_g) FROM (
            SELECT time_bucket('1 day', time AT TIME ZONE 'Europe/Berlin' AT TIME ZONE 'UTC') AS day, actual_g FROM dosing_consumption
        ) AS days GROUP BY 1 ORDER BY 1""",
        [["0", "68.5"], ["48", "28.75"]],
    ),
    "the newest level of each container": (
        "SELECT device_id, chemical, container_id, percent_full FROM latest_inventory ORDER BY 1, 2, 3",
        [["d1", "acid", "a", "5"], ["d1", "acid", "b", "99"], ["d2", "base", "", "10"]],
    ),
}


def test_the_views_of_init_agree_with_the_panels(database: Database) -> None:
    """Whoever writes queries of his own finds the same figures in them."""
    insert(database, POINTS)

    found = {name: database.rows(sql.format(monday=f"timestamptz '{MONDAY}'")) for name, (sql, _answer) in VIEWS.items()}

    assert found == {name: answer for name, (_sql, answer) in VIEWS.items()}


def test_macros_are_expanded_as_the_data_source_does() -> None:
    """A macro that it does not know is no text to pass on."""
    moment = replace(MOMENT, interval=timedelta(minutes=1))
    assert as_sql("SELECT $__timeGroupAlias(time,'1h'), 1", moment) == "SELECT time_bucket('3600.000s',time) AS \"time\", 1"
    assert as_sql("SELECT $__timeGroup(time,$__interval), 1", moment) == "SELECT time_bucket('60.000s',time) AS \"time\", 1"
    assert as_sql("ORDER BY $__timeGroup(time,5m)", moment, is_timescale=False) == "ORDER BY floor(extract(epoch from time)/300)*300"
    assert as_sql("$__timeFilter(t)", moment).startswith(f"t BETWEEN '{MONDAY:%Y-%m-%d}T00:00:00Z' AND '")
    with pytest.raises(ValueError, match="__timeWindow"):
        as_sql("$__timeWindow(time)", moment)
