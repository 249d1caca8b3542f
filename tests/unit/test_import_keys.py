"""`import telegraf`: each key of a file is reported exactly once, whatever it holds, and what is written is a good configuration."""

from __future__ import annotations

import json
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iiot_gateway.cli.main import main
from iiot_gateway.config.load import load_text
from iiot_gateway.profile import read_profile
from iiot_gateway.telegraf.translate import translate
from imported import imported

PLUGIN_TABLES = ("inputs", "outputs", "processors", "aggregators", "secretstores")

EVERYTHING = """
debug_outside = true
[global_tags]
  site = "north"
  user = "$USER_OF_NOBODY"
  rack = 5
[agent]
  interval = "10s"
  omit_hostname = true
  flush_interval = "10s"
  something_new = 1
[[inputs.mqtt_consumer]]
  servers = ["tcp://broker:1883", "tcp://other:1883"]
  topics = ["plant/+/temp", "plant/#", "bad/#/filter"]
  topic_tag = "where"
  qos = 2
  persistent_session = true
  client_id = "telegraf-1"
  username = "t"
  password = "s3cret-word"
  connection_timeout = "30s"
  keepalive = 60
  max_undelivered_messages = 1000
  data_format = "json"
  tag_keys = ["id", "n_*", "{a,b}_x"]
  json_string_fields = ["note"]
  json_name_key = "kind"
  json_time_key = "ts"
  json_time_format = "unix_ms"
  json_timezone = "UTC"
  json_query = "data.list"
  json_strict = true
  name_prefix = "p_"
  name_suffix = "_s"
  fieldpass = ["*_c"]
  fielddrop = ["raw*"]
  fieldinclude = ["x"]
  fieldexclude = ["y"]
  tagexclude = ["id"]
  taginclude = ["id"]
  namepass = ["p*"]
  alias = "plant"
  tls_ca = "/nowhere/ca.pem"
  insecure_skip_verify = true
  unknown_key = [1, 2]
  unknown_tables = [{a = 1, b = {c = 2}}, {a = 3}]
  [inputs.mqtt_consumer.tags]
    area = "hall"
    empty = ""
  [inputs.mqtt_consumer.tagpass]
    id = ["a*"]
  [[inputs.mqtt_consumer.topic_parsing]]
    topic = "plant/+/temp"
    measurement = "_/_/measurement"
    tags = "_/line/_"
    fields = "_/_/value"
    [inputs.mqtt_consumer.topic_parsing.types]
      value = "int"
  [[inputs.mqtt_consumer.topic_parsing]]
    topic = "elsewhere/+"
    tags = "_/x"
[[inputs.mqtt_consumer]]
  servers = ["tcp://broker:1883"]
  topics = ["v"]
  data_format = "json_v2"
  [[inputs.mqtt_consumer.json_v2]]
    measurement_name = "x"
    [[inputs.mqtt_consumer.json_v2.field]]
      path = "a"
      type = "int"
    [[inputs.mqtt_consumer.json_v2.field]]
      path = "b"
[[inputs.cpu]]
  percpu = true
[[inputs.mem]]
[inputs.disk]
  mount_points = ["/"]
[[processors.rename]]
  order = 1
  [[processors.rename.replace]]
    tag = "a"
    dest = "b"
[[aggregators.basicstats]]
  period = "30s"
[[secretstores.os]]
  id = "s"
[[outputs.influxdb_v2]]
  urls = ["http://user:urlpass@db:8086/?q=1"]
  token = "@{s:token}"
  organization = "o"
  bucket = "b"
  bucket_tag = "x"
  timeout = "5s"
  content_encoding = "gzip"
  http_headers = {"X-Key" = "headersecret"}
[[outputs.influxdb]]
  urls = ["http://one:8086", "http://two:8086"]
  database = "telegraf"
  username = "u"
  password = "v1secret"
  retention_policy = ""
[[outputs.mqtt]]
  servers = ["ssl://cloud:8883"]
  topic = "out/{{ .Hostname }}/x"
  qos = 0
  retain = true
  layout = "batch"
  username = "cloud"
  password = "${CLOUD_PASSWORD}"
[[outputs.postgresql]]
  connection = "host=db password=pgsecret"
  tables = [{measurement = "x", tags = ["a"]}, {measurement = "mqtt_consumer", tags = ["a", "b*"], fields = ["c"]}, {tags = 1}]
[[outputs.file]]
  files = ["stdout"]
"""
SECRETS = ("s3cret-word", "urlpass", "headersecret", "v1secret", "pgsecret")


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """Give the path of every key whose value is no table."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}")
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for number, item in enumerate(value):
            yield from leaves(item, f"{path}[{number}]")
    else:
        yield path.removeprefix(".")


def keys_of(text: str) -> Counter[tuple[str, str]]:
    """Return every key of a file with the table that it stands in."""
    found: Counter[tuple[str, str]] = Counter()
    for name, value in tomllib.loads(text).items():
        if name not in PLUGIN_TABLES:
            is_table = isinstance(value, dict)
            found.update((name if is_table else "", key) for key in leaves(value if is_table else {name: value}))
            continue
        for plugin, instances in value.items():
            for instance in instances if isinstance(instances, list) else [instances]:
                found.update((f"{name}.{plugin}", key) for key in leaves(instance))
    return found


def reported(text: str) -> Counter[tuple[str, str]]:
    """Return every key that a report has."""
    translation = translate([("telegraf.conf", text)], {}, "machine")
    return Counter((section.name, entry.key) for section in translation.sections for entry in section.entries())


def test_every_key_is_reported_exactly_once() -> None:
    """Those of nested tables, of lists of tables, of plugins that nobody knows, and outside of any table too."""
    expected = keys_of(EVERYTHING)
    assert sum(expected.values()) >= 90
    assert reported(EVERYTHING) == expected


def test_each_key_is_reported_at_its_line() -> None:
    """Also where a plugin stands several times."""
    translation = translate([("t.conf", EVERYTHING)], {}, "machine")
    lines = EVERYTHING.splitlines()
    for section in translation.sections:
        for entry in section.entries():
            name = entry.key.replace("]", "").split(".")[-1].split("[")[0]
            assert name in lines[entry.line - 1], (section.name, entry)


def test_no_secret_is_in_the_report_or_the_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are in files that only their owner can read."""
    found = imported(capsys, tmp_path, EVERYTHING)

    written = (found.folder / "config.toml").read_text() + (found.folder / "telegraf.toml").read_text()
    for secret in SECRETS:
        assert secret not in found.texts()
        assert secret not in written
    assert (found.folder / "mqtt_consumer.password").read_text() == "s3cret-word\n"
    assert (found.folder / "influxdb.telegraf_2.token").read_text() == "u:v1secret\n"
    for name in ("mqtt_consumer.password", "influxdb.telegraf_2.token"):
        assert (found.folder / name).stat().st_mode & 0o777 == 0o600
    assert "IIOT_MQTT__PASSWORD" in found.texts()
    assert main(["check", "--config", str(found.folder / "config.toml")]) == 0


# --- any values ---

KNOWN = tomllib.loads(EVERYTHING)
ODD = [
    None,
    1,
    -1,
    1.5,
    True,
    "",
    "x",
    "a{b",
    "/a//+/$b/",
    "  ",
    "*[",
    "${GONE}",
    "plant/+/temp",
    [],
    ["x", 1],
    ["{a"],
    {"a": "b"},
    {"a": 1},
    [{"a": {"b": 1}}],
    "10s",
    "json",
    "value",
]


@st.composite
def files(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a file: known plugins with some of their keys, of which some have odd values."""
    tables: dict[str, Any] = {}
    for name, value in KNOWN.items():
        if name in ("inputs", "outputs"):
            plugins = [(plugin, instance) for plugin, instances in value.items() if isinstance(instances, list) for instance in instances]
            for plugin, instance in draw(st.lists(st.sampled_from(plugins), max_size=4)):
                tables.setdefault(name, {}).setdefault(plugin, []).append(draw(changed(instance)))
        elif name not in PLUGIN_TABLES and isinstance(value, dict) and draw(st.booleans()):
            tables[name] = draw(changed(value))
    return tables


@st.composite
def changed(draw: st.DrawFn, table: dict[str, Any]) -> dict[str, Any]:
    """Draw a table with some keys gone and some with odd values."""
    gone = draw(st.sets(st.sampled_from(sorted(table) or [""]), max_size=6))
    odd = draw(
        st.dictionaries(
            st.sampled_from([*sorted(table), "password", "username", "topics", "topic", "topic_prefix", "data_type"]),
            st.sampled_from(ODD),
            max_size=3,
        )
    )
    drawn = {key: value for key, value in {**table, **odd}.items() if key not in gone and value is not None}
    return {**drawn, **({"data_format": "value", "data_type": "float"} if draw(st.integers(0, 5)) == 0 else {})}


def toml(value: Any) -> str:
    """Write a value as TOML, tables inline."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


@settings(max_examples=150)
@given(tables=files())
def test_whatever_stands_there_is_reported_once_and_makes_a_good_configuration(tables: dict[str, Any]) -> None:
    """Wrong types, patterns without end, references without value: none is an error of ours."""
    text = "".join(f"{json.dumps(name)} = {toml(value)}\n" for name, value in tables.items())

    assert reported(text) == keys_of(text)
    translation = translate([("telegraf.conf", text)], {}, "machine")
    with tempfile.TemporaryDirectory() as folder:
        for name, content in {**translation.profiles, **{name: secret.reveal() for name, secret in translation.secrets.items()}}.items():
            Path(folder, name).write_text(content, encoding="utf-8")
        load_text(translation.config, base=Path(folder))
        for name in translation.profiles:
            read_profile(Path(folder, name))
