"""`outputs.postgresql` becomes a section that loads, whichever way its connection is written."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from imported import imported

INPUT = '[[inputs.mqtt_consumer]]\nservers = ["tcp://broker:1883"]\ntopics = ["a/b"]\ndata_format = "json"\n'
SECRET = "p@ss word"  # noqa: S105 - of no server


@pytest.mark.parametrize(
    ("connection", "url", "outcome"),
    [
        (f"host=db user=me password='{SECRET}' dbname=plant sslmode=require", "postgresql://me@db/plant?sslmode=require", "taken"),
        ("postgres://me:p%40ss%20word@db:5433/plant", "postgresql://me@db:5433/plant", "taken"),
        ("postgresql://me:p%40ss%20word@[::1]/plant?pool_max_conns=3", "postgresql://me@[::1]/plant", "differs"),
    ],
)
def test_a_connection_becomes_a_url_and_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], connection: str, url: str, outcome: str
) -> None:
    """The password stands in the file alone; what the gateway does not know is named."""
    text = f'[[outputs.postgresql]]\nconnection = "{connection}"\nschema = "plant"\ntags_as_jsonb = true\n'

    found = imported(capsys, tmp_path, INPUT + text)

    section = tomllib.loads((found.folder / "config.toml").read_text())["postgresql"]
    assert (section["url"], section["schema"]) == (url, "plant")
    assert (found.folder / section["password_file"]).read_text().strip() == SECRET
    assert SECRET not in found.texts() + json.dumps(section)
    assert (found.outcome("connection"), found.outcome("tags_as_jsonb")) == (outcome, "left out")
    assert ("pool_max_conns" in found.texts()) == (outcome == "differs")


CONNECTIONS = ("", "host=db password=x", "host=/run/postgresql user=me", "host", "host=db user=me port=x", "host='")


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_a_connection_without_user_and_host_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str], connection: str) -> None:
    """It is said, and nothing is guessed."""
    found = imported(capsys, tmp_path, f'[[outputs.postgresql]]\nconnection = "{connection}"\n')

    assert found.outcome("connection") == "left out"
    assert "names no user and host" in found.texts()


def test_tags_of_all_points_stay_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Telegraf's tables have them."""
    text = '[global_tags]\nfacility = "north"\n[[outputs.postgresql]]\nconnection = "host=db user=me"\n'

    found = imported(capsys, tmp_path, INPUT + text)

    assert tomllib.loads((found.folder / "config.toml").read_text())["postgresql"]["configuration_tags"] is True


@pytest.mark.parametrize("connection", ["host=db user=me password=${PG_SECRET}", "${PG_CONNECTION}"])
def test_a_password_of_the_environment_stays_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, connection: str
) -> None:
    """The report names the variable of the gateway that must hold it."""
    monkeypatch.setenv("PG_SECRET", "sesame")
    monkeypatch.setenv("PG_CONNECTION", "host=db user=me password=sesame")

    found = imported(capsys, tmp_path, INPUT + f'[[outputs.postgresql]]\nconnection = "{connection}"\n')

    assert found.outcome("connection") == "differs"
    assert "IIOT_POSTGRESQL__PASSWORD" in found.texts()
    assert not [file for file in found.folder.iterdir() if "sesame" in file.read_text()]
