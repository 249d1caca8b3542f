"""`import telegraf` as a command: references to the environment, connections, sinks, files that are there, and the report for people."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from iiot_gateway.cli.main import main
from iiot_gateway.errors import ConfigError
from iiot_gateway.sinks.influxdb.section import InfluxdbSection
from iiot_gateway.sinks.mqtt.section import MqttSection
from iiot_gateway.sources.mqtt_consumer.section import MqttConsumerSection
from imported import Imported, imported

CONSUMER = '[[inputs.mqtt_consumer]]\n  servers = ["tcp://broker:1883"]\n  topics = ["a/#"]\n  data_format = "json"\n'
OMIT = "[agent]\n  omit_hostname = true\n"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what the files refer to."""
    monkeypatch.setenv("PLANT_BROKER", "tcp://plant:1884")
    monkeypatch.setenv("PLANT_QOS", "2")
    monkeypatch.setenv("PLANT_TOKEN", "from-the-environment")
    monkeypatch.delenv("PLANT_GONE", raising=False)


def test_references_are_replaced_by_their_present_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In texts, in lists, outside of texts, with a default; and the report says so."""
    text = """
[[inputs.mqtt_consumer]]
  servers = ["${PLANT_BROKER}"] # costs $5 and ${NOTHING}
  topics = ["${PLANT_GONE:-plant}/#", "$share/g/x"]
  qos = ${PLANT_QOS}
  name_override = "$PLANT_GONE"
  data_format = "json"
"""
    found = imported(capsys, tmp_path, OMIT, text)

    assert found.config is not None
    consumer = found.config.of(MqttConsumerSection)["mqtt_consumer"]
    assert consumer.broker_url == "mqtt://plant:1884"
    assert [(topic.filter, topic.qos or consumer.qos) for topic in consumer.topics] == [("plant/#", 2), ("$share/g/x", 2)]
    assert "with the present value of $PLANT_BROKER" in found.texts()
    assert found.outcome("name_override") == "left out"
    assert "it needs PLANT_GONE of the environment" in found.texts()


def test_a_secret_of_the_environment_stays_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report names the variable of the gateway that must hold it."""
    output = '[[outputs.influxdb_v2]]\n  urls = ["http://db:8086"]\n  token = "${PLANT_TOKEN}"\n  bucket = "b"\n'
    found = imported(capsys, tmp_path, OMIT, CONSUMER, output)

    written = "".join(path.read_text() for path in found.folder.iterdir())
    assert "from-the-environment" not in written + found.texts()
    assert "IIOT_INFLUXDB__TOKEN of the environment must hold what $PLANT_TOKEN holds for Telegraf" in found.texts()
    assert "# token: IIOT_INFLUXDB__TOKEN in the environment" in written


def test_points_have_the_host_tag_unless_it_is_omitted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the agent's name for the machine, else with that of this one, which the report says."""
    named = imported(capsys, tmp_path, '[agent]\n  hostname = "old"\n', CONSUMER)
    assert named.lines("a/b", '{"v":1}') == ["mqtt_consumer,host=old,topic=a/b v=1"]
    (tmp_path / "second").mkdir()
    unnamed = imported(capsys, tmp_path / "second", CONSUMER)
    assert ",host=" in unnamed.lines("a/b", '{"v":1}')[0]
    assert "is the name of this machine" in unnamed.texts()
    (tmp_path / "third").mkdir()
    excluded = imported(capsys, tmp_path / "third", f'{CONSUMER}  tagexclude = ["host", "topic"]\n')
    assert excluded.lines("a/b", '{"v":1}') == ["mqtt_consumer v=1"]


@pytest.mark.parametrize(
    ("output", "keys"),
    [
        (
            (
                '[[outputs.influxdb]]\n  urls = ["https://u:p@db:8086/x/"]\n  database = "plant"\n'
                '  timeout = "1m30s"\n  content_encoding = "identity"\n'
            ),
            {"url": "https://db:8086/x", "api": "v1", "bucket": "plant", "timeout_s": 90.0, "gzip": False},
        ),
        ('[[outputs.influxdb]]\n  url = "http://db:8086"\n', {"url": "http://db:8086", "api": "v1", "bucket": "telegraf"}),
        (
            (
                '[[outputs.influxdb_v2]]\n  urls = ["http://one:8086", "http://two:8086"]\n'
                '  organization = "o"\n  bucket = "b"\n  timeout = 7\n'
            ),
            {"url": "http://one:8086", "org": "o", "bucket": "b", "api": "v2", "timeout_s": 7.0},
        ),
    ],
)
def test_databases_are_sinks(tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str, keys: dict[str, object]) -> None:
    """Both versions of InfluxDB; nothing of a user in a URL stays there."""
    found = imported(capsys, tmp_path, OMIT, CONSUMER, output)

    assert found.config is not None
    sink = found.config.of(InfluxdbSection)["influxdb"]
    assert {name: getattr(sink, name) for name in keys} == keys


def test_a_broker_that_values_go_to_is_a_sink_unless_they_would_come_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each field is published by itself below the prefix."""
    keys = 'qos = 1\n  retain = true\n  protocol = "5"'
    output = f'[[outputs.mqtt]]\n  servers = ["tcp://broker:1883"]\n  {keys}\n  topic = "OUT/{{{{ .Hostname }}}}"\n'
    found = imported(capsys, tmp_path, OMIT, CONSUMER, output.replace("OUT", "out"))
    assert found.config is not None
    sink = found.config.of(MqttSection)["mqtt"]
    assert (sink.broker_url, sink.topic_prefix, sink.qos, sink.protocol) == ("mqtt://broker:1883", "out", 1, "5")
    assert 'topic = "mqtt_consumer/{1}"\nretain = true' in (found.folder / "telegraf.toml").read_text()

    (tmp_path / "second").mkdir()
    refused = imported(capsys, tmp_path / "second", OMIT, CONSUMER, output.replace("OUT", "a/b"))
    assert refused.config is not None
    assert not refused.config.of(MqttSection)
    assert "the gateway would take its own values" in refused.texts()


def test_files_of_certificates_are_taken_where_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A certificate without its key is none, and without TLS there is no use for them."""
    for name in ("ca", "cert"):
        (tmp_path / name).write_text("")
    files = f'tls_ca = "{tmp_path}/ca"\ntls_cert = "{tmp_path}/cert"\ntls_key = "{tmp_path}/gone"\n'
    found = imported(capsys, tmp_path, OMIT, CONSUMER.replace("tcp:", "ssl:") + files)

    assert found.config is not None
    consumer = found.config.of(MqttConsumerSection)["mqtt_consumer"]
    assert (consumer.ca_file, consumer.client_cert_file) == (str(tmp_path / "ca"), "")
    assert [found.outcome(key) for key in ("tls_ca", "tls_cert", "tls_key")] == ["taken", "left out", "left out"]


def test_nothing_that_exists_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The files are named, and nothing was written."""
    (tmp_path / "telegraf.conf").write_text(CONSUMER)
    (tmp_path / "config.toml").write_text("mine")

    assert main(["import", "telegraf", str(tmp_path / "telegraf.conf"), "--out", str(tmp_path)]) == 1

    assert "config.toml: there is such a file already" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.toml", "telegraf.conf"]


def test_without_an_input_that_can_be_taken_over_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report is printed all the same."""
    (tmp_path / "telegraf.conf").write_text('[[inputs.cpu]]\n  percpu = true\n[[outputs.influxdb_v2]]\n  urls = ["http://db"]\n')

    assert main(["import", "telegraf", str(tmp_path / "telegraf.conf"), "--out", str(tmp_path / "out")]) == 1

    printed = capsys.readouterr()
    assert "left out  percpu" in printed.out
    assert "nothing was written" in printed.err
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_read_is_told_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No TOML, no text, no file."""
    (tmp_path / "bad.conf").write_text("[agent]\n  interval = = 1\n")
    (tmp_path / "binary.conf").write_bytes(b"\xff\xfe\xff")

    for name, message in (("bad.conf", "bad.conf:2: not valid TOML"), ("binary.conf", "is not"), ("gone.conf", "cannot be read")):
        assert main(["import", "telegraf", str(tmp_path / name), "--out", str(tmp_path / "out")]) == 1
        assert message in capsys.readouterr().err


def test_the_report_for_people_has_a_line_for_each_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Under its plugin, with file and line; the totals and the written files stand at the end."""
    (tmp_path / "telegraf.conf").write_text(OMIT + CONSUMER + "  qos = 0\n  alias = 'a\u202eb'\n")

    assert main(["import", "telegraf", str(tmp_path / "telegraf.conf"), "--out", str(tmp_path / "out")]) == 0

    printed = capsys.readouterr().out
    assert f"{tmp_path}/telegraf.conf:3: inputs.mqtt_consumer\n" in printed
    assert "  differs   qos          1: with QoS 0 messages can be lost on their way\n" in printed
    assert "6 keys: 4 taken over, 1 mean something else here, 1 left out\n" in printed
    assert f"written: {tmp_path}/out/config.toml\n" in printed
    assert "\u202e" not in printed


def test_the_check_of_what_was_written_is_real(tmp_path: Path) -> None:
    """A configuration with a fault would not be handed over in silence."""
    from iiot_gateway.cli import import_telegraf

    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "config.toml").write_text("[mqtt_consumer]\n")
    (folder / "telegraf.toml").write_text('name = "x"\n')

    with pytest.raises(ConfigError) as caught:
        import_telegraf._check(folder, ["telegraf.toml"])
    assert {fault.place.rpartition("/")[2] for fault in caught.value.faults} == {"config.toml", "telegraf.toml"}


def test_json_and_the_report_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For programs."""
    found: Imported = imported(capsys, tmp_path, OMIT, CONSUMER)

    assert found.report["totals"] == {"taken": 4, "differs": 0, "left out": 0}
    assert [Path(path).name for path in found.report["written"]] == ["config.toml", "telegraf.toml"]
    assert json.dumps(found.report)
