"""The Telegraf files of two plants: the imported gateway makes the points that Telegraf made, or that its author meant."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from iiot_gateway.cli.main import main
from iiot_gateway.sinks.influxdb.section import InfluxdbSection
from iiot_gateway.sinks.postgresql.section import PostgresqlSection
from imported import Imported, imported, points
from recordings import shared

OMIT_HOSTNAME = "[agent]\n  omit_hostname = true\n"


def plant(name: str) -> Path:
    """Return a file of the shared data; without it the test is skipped."""
    path = shared("telegraf", name)
    if path is None:
        pytest.skip("the shared data is not there")
    return path


@pytest.fixture
def influxdb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Imported:
    """Import the plant with InfluxDB."""
    return imported(capsys, tmp_path, plant("dosing-influxdb.conf"), OMIT_HOSTNAME)


def test_the_points_are_those_of_telegraf(influxdb: Imported) -> None:
    """Sets of tags and fields are equal; NaN is a reject, and a text that vanishes in Telegraf is a counted fault."""
    found, rejects = [], []
    for line in plant("messages.ndjson").read_text().splitlines():
        message = json.loads(line)
        made, refused = influxdb.decode(message["topic"], message["payload"])
        found += made
        rejects += [(message["topic"].split("/")[-1], reason.split(":")[0], quoted[:3]) for _at, reason, quoted in refused]

    expected = points(plant("dosing-influxdb.expected.lp").read_text().splitlines())
    assert Counter(found) == Counter(expected)
    assert [place for place, _reason, _quoted in rejects] == ["temperature", "vibration", "vibration", "vibration"]
    assert [reason for _place, reason, _quoted in rejects[1:]] == ["acceleration_g", "note", "ok"]


def test_the_whole_file_is_taken_over(influxdb: Imported) -> None:
    """Nothing is left out, the configuration is good, and the token is in no report."""
    assert influxdb.report["totals"]["left out"] == 0
    assert main(["check", "--config", str(influxdb.folder / "config.toml")]) == 0
    assert influxdb.config is not None
    sink = influxdb.config.of(InfluxdbSection)["influxdb"]
    assert (sink.url, sink.org, sink.bucket, sink.timeout_s) == ("http://localhost:8086", "my_organization", "factory_metrics", 5.0)
    assert sink.token.reveal() not in influxdb.texts()


def test_what_the_author_of_a_refused_file_meant_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Telegraf does not start with it. Times, names and topics are plain; its tables say what is a tag."""
    found = imported(capsys, tmp_path, plant("dosing-timescaledb.conf"), OMIT_HOSTNAME)

    payload = '{"device_id":"d1","pump":1,"actual_g":40.20,"timestamp":1761758400}'
    tags = "device_id=d1,facility=main_factory,system=chemical_dosing,topic=factory/dosing/consumption"
    assert found.lines("factory/dosing/consumption", payload) == [f"dosing_consumption,{tags} pump=1,actual_g=40.20 1761758400000000000"]
    assert found.lines("factory/inventory/levels", '{"remaining_g":1}')[0].startswith("inventory_levels,")
    database = next(section for section in found.report["sections"] if section["name"] == "outputs.postgresql")
    outcomes = {entry["key"]: entry["outcome"] for entry in database["keys"]}
    assert {key for key, outcome in outcomes.items() if outcome == "differs"} == {"tables[0].measurement", "tables[0].tags", "timeout"}
    assert {key for key, outcome in outcomes.items() if outcome == "taken"} == {"connection", "timestamp_column"}
    assert "your_secure_password" not in found.texts()
    assert found.config is not None
    sink = found.config.of(PostgresqlSection)["postgresql"]
    assert (sink.url, sink.timeout_s) == ("postgresql://telegraf@timescaledb:5432/factory_metrics?sslmode=disable", 5.0)
    assert sink.password.reveal() == "your_secure_password"
