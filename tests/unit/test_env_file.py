"""A file of environment variables, and the names that other programs know."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiot_gateway.config.env_file import read_variables
from iiot_gateway.config.load import examine
from iiot_gateway.sinks.influxdb.section import InfluxdbSection


def configured(tmp_path: Path, text: str, variables: str = "", **environ: str) -> tuple[object, list[str]]:
    """Load a configuration beside a file of variables; return the InfluxDB section and what is wrong."""
    (tmp_path / "config.toml").write_text(text)
    (tmp_path / "variables").write_text(variables)
    config, faults = examine(str(tmp_path / "config.toml"), environ)
    return config.of(InfluxdbSection).get("influxdb"), [*map(str, faults), *config.notes]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("NAME=value", "value"),
        ("  export NAME = value  ", "value"),
        ("NAME=with spaces # and a comment", "with spaces"),
        ("NAME=a#b", "a#b"),
        ("NAME=#b", ""),
        ("NAME='a # $b \\n'", "a # $b \\n"),
        ('NAME="a # \\"b\\" \\n\\\\" # comment', 'a # "b" \n\\'),
        ("NAME=", ""),
        ("NAME=a=b", "a=b"),
    ],
)
def test_a_line_says_what_a_shell_would_read_without_expanding(line: str, value: str) -> None:
    """As far as such files agree with each other."""
    assert read_variables(f"# comment\n\n{line}\n") == ({"NAME": value}, [])


@pytest.mark.parametrize("line", ["SECRET", "1A=b", "=b", "NAME='a", 'NAME="a', "NAME='a'b", 'NAME="a"b'])
def test_a_line_that_is_none_is_named_without_its_text(line: str) -> None:
    """It may hold a secret."""
    found, faults = read_variables(f"A=1\n{line}\n")

    assert found == {"A": "1"}
    assert [number for number, _ in faults] == [2]
    assert line not in faults[0][1]


@given(st.text())
def test_no_text_breaks_the_reading(text: str) -> None:
    """Each line is a variable, a comment or a fault."""
    found, faults = read_variables(text)

    assert len(found) + len(faults) <= len(text.splitlines())


def test_the_file_stands_over_the_configuration_and_below_the_environment(tmp_path: Path) -> None:
    """With the units of those who gave the names."""
    text = '[gateway]\nenv_file = "variables"\n[influxdb]\nbucket = "of the file"\n'
    variables = "INFLUXDB_TIMEOUT=2500\nINFLUXDB_BATCH_SIZE=77\nINFLUXDB_FLUSH_INTERVAL=20\nINFLUXDB_BUCKET=b\nINFLUXDB_ORG=o\n"

    section, said = configured(tmp_path, text, variables, INFLUXDB_ORG="of the environment")

    assert said == []
    assert isinstance(section, InfluxdbSection)
    assert (section.timeout_s, section.batch_lines, section.batch_interval_ms) == (2.5, 77, 20)
    assert (section.bucket, section.org) == ("b", "of the environment")


def test_a_file_that_is_not_there_is_named_where_it_is_asked_for(tmp_path: Path) -> None:
    """And a line that is none, in the file itself."""
    _, missing = configured(tmp_path, '[gateway]\nenv_file = "nowhere"\n')
    _, wrong = configured(tmp_path, '[gateway]\nenv_file = "variables"\n', "A\n")

    assert missing[0].startswith(f"{tmp_path / 'config.toml'}:2: gateway.env_file: {tmp_path / 'nowhere'} cannot be read")
    assert wrong == [f"{tmp_path / 'variables'}:1: expected NAME=VALUE, with the value in quotes if it holds quotes or #"]


def test_a_variable_without_a_section_to_act_on_is_told(tmp_path: Path) -> None:
    """Whoever sets it expects something of it."""
    _, said = configured(tmp_path, "", INFLUXDB_TIMEOUT="2500", INFLUXDB_TOKEN="t", PGPASSWORD="p")  # noqa: S106 - what a test sets

    assert said == ["INFLUXDB_TOKEN, INFLUXDB_TIMEOUT: not used, because there is no [influxdb]"]


def test_a_variable_of_the_wrong_kind_is_named(tmp_path: Path) -> None:
    """By its own name."""
    _, said = configured(tmp_path, "[influxdb]\n", INFLUXDB_TIMEOUT="soon")

    assert said == ["INFLUXDB_TIMEOUT: influxdb.timeout_s: expected a number from 0.1 to 3600, found 'soon'"]
