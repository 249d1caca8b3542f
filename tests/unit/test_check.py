"""`check` shows at once all that must be mended, in the configuration and in the profiles that it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from iiot_gateway.cli.main import main
from iiot_gateway.config.load import load_text
from iiot_gateway.errors import ConfigError
from iiot_gateway.sinks.influxdb.section import InfluxdbSection


def test_faults_of_the_configuration_and_of_a_profile_are_told_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Mending the one must not bring the other to light."""
    (tmp_path / "mine.toml").write_text('name = "mine"\nunknown = 1\n')
    (tmp_path / "config.toml").write_text('[gateway]\nprofile = "mine.toml"\n[mqtt]\nqos = 9\n')

    code = main(["check", "--config", str(tmp_path / "config.toml")])

    err = capsys.readouterr().err
    assert code == 1
    assert "config.toml:4: mqtt.qos: expected one of 0, 1, 2" in err
    assert "mine.toml" in err
    assert "Traceback" not in err


def test_a_sink_that_asks_for_a_profile_that_nobody_has_is_a_fault() -> None:
    """It would get nothing; the nearest name is said."""
    with pytest.raises(ConfigError) as caught:
        load_text('[mqtt]\nprofiles = ["lora-brige"]\n')

    assert str(caught.value) == "config.toml:2: mqtt.profiles: there is no profile 'lora-brige'; did you mean \"lora-bridge\"?"


def test_a_sink_may_ask_for_built_in_profiles_and_for_those_of_sources(tmp_path: Path) -> None:
    """A profile's name is the one that its file gives it."""
    (tmp_path / "mine.toml").write_text('name = "greenhouse"\n')
    text = '[serial]\nport = "/dev/ttyACM0"\nprofile = "mine.toml"\n[influxdb]\nprofiles = ["greenhouse", "chirpstack", "lora-bridge"]\n'

    assert load_text(text, base=tmp_path).of(InfluxdbSection)["influxdb"].profiles == ("greenhouse", "chirpstack", "lora-bridge")


def test_a_configuration_without_a_source_is_said_to_do_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may be meant for `replay`, so it is no fault."""
    (tmp_path / "config.toml").write_text("[mqtt]\n")

    assert main(["check", "--config", str(tmp_path / "config.toml")]) == 0

    assert "no source, so nothing will come: set gateway.chip, or add [serial] or [simulate]" in capsys.readouterr().err


def test_a_prefix_that_values_do_not_get_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second broker's prefix is for the gateway's own topics: a value's topic is given once, by its source."""
    (tmp_path / "config.toml").write_text(
        '[simulate]\n[serial]\nport = "/dev/ttyACM0"\ntopic_prefix = "south"\n[mqtt]\nqos = 1\n'
        '[mqtt.plant]\nclient_id = "plant"\ntopic_prefix = "plant"\n[mqtt.south]\nclient_id = "south"\ntopic_prefix = "south"\n'
    )

    assert main(["check", "--config", str(tmp_path / "config.toml")]) == 0

    assert capsys.readouterr().err == (
        "note: mqtt.plant.topic_prefix begins plant/gateway/status and plant/gateway/health only: values that go there keep the prefix of "
        'their source, "south", "iiot"; topic_prefix of [gateway] or of the source changes it\n'
    )


@pytest.mark.parametrize(("profile", "notes"), [("lora-bridge", 1), ("chirpstack", 0)])
def test_a_broker_gets_the_prefixes_of_the_profiles_that_it_takes(profile: str, notes: int) -> None:
    """Values that go elsewhere do not count."""
    text = '[gateway]\ntopic_prefix = "iiot"\n[simulate]\n[serial]\nport = "/dev/ttyACM0"\nprofile = "chirpstack"\ntopic_prefix = "lns"\n'

    assert len(load_text(f'{text}[mqtt]\ntopic_prefix = "lns"\nprofiles = ["{profile}"]\n').notes) == notes


@pytest.mark.parametrize(
    ("north", "south", "database", "shared"),
    [
        ("", "", "[influxdb]", True),
        ("", "", "[history]", True),
        ("", "", "[mqtt]", False),
        ('tags = { site = "north" }', 'tags = { site = "south" }', "[influxdb]", False),
        ('profile = "chirpstack"', "", "[influxdb]", False),
        ('topic_prefix = "iiot"', 'topic_prefix = "iiot"', "[influxdb]", False),
    ],
)
def test_sources_that_share_series_of_a_database_are_said(north: str, south: str, database: str, *, shared: bool) -> None:
    """Different prefixes keep topics apart; only tags do so for points."""

    def section(name: str, more: str) -> str:
        prefix = "" if "topic_prefix" in more else f'topic_prefix = "{name}"\n'
        return f'[serial.{name}]\nport = "/dev/{name}"\n{prefix}{more}\n'

    notes = load_text(f"{database}\n{section('north', north)}{section('south', south)}").notes

    assert any("[serial.north] and [serial.south]" in note and "tags" in note for note in notes) is shared


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("http://host/api/v2", "/api/v2, to which the gateway adds its own: take http://host"),
        ("http://host:8086/proxy/api/v2/write/", "/api/v2/write, to which the gateway adds its own: take http://host:8086/proxy"),
        ("http://host/influx/write", "/write, to which the gateway adds its own: take http://host/influx"),
        ("http://host/api/v3/write_lp", "/api/v3/write_lp, to which the gateway adds its own: take http://host"),
    ],
)
def test_a_url_with_the_path_of_the_api_is_said(url: str, remedy: str) -> None:
    """The lines would go to the path twice; it may be a proxy's, so it is no fault."""
    assert [note for note in load_text(f'[influxdb]\nurl = "{url}"\n').notes if remedy in note]


@pytest.mark.parametrize("url", ["http://host", "http://host/", "http://host:8480/insert/0/influx", "http://host/api/v1/push/influx"])
def test_a_path_of_a_proxy_is_nothing_to_say(url: str) -> None:
    """The paths that VictoriaMetrics' cluster and others are reached under."""
    assert load_text(f'[influxdb]\nurl = "{url}"\n').notes == ()
