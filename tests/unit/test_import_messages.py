"""`import telegraf`: what each key of an `inputs.mqtt_consumer` makes of messages, as lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from iiot_gateway.sources.mqtt_consumer.section import MqttConsumerSection
from imported import Imported, imported

HEAD = """
[agent]
  omit_hostname = true
[[inputs.mqtt_consumer]]
  servers = ["tcp://broker:1883"]
"""


class Plugin:
    """Imports one plugin with some keys."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder = folder
        self._capsys = capsys

    def __call__(self, keys: str, topics: str = '["t"]', *, data_format: str = "json", before: str = HEAD) -> Imported:
        """Return what the import gives; `topic_tag` is off unless the keys say otherwise."""
        tag = "" if "topic_tag" in keys else 'topic_tag = ""\n'
        return imported(self._capsys, self._folder, f'{before}topics = {topics}\ndata_format = "{data_format}"\n{tag}{keys}\n')


@pytest.fixture
def plugin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Plugin:
    """Import one plugin."""
    return Plugin(tmp_path, capsys)


@pytest.mark.parametrize(
    ("keys", "payload", "line"),
    [
        ("", '{"a":5,"b":{"c":6},"ignored":"text","on":true,"n":null}', "mqtt_consumer a=5,b_c=6"),
        ("", '{"a":[1.50,{"b":-2e3}],"a_0":7}', "mqtt_consumer a_1_b=-2e3,a_0=7"),
        ('name_override = "m"', '{"a":1}', "m a=1"),
        ('name_prefix = "p_"\nname_suffix = "_s"', '{"a":1}', "p_mqtt_consumer_s a=1"),
        ('name_override = "m"\nname_prefix = "p_"', '{"a":1}', "p_m a=1"),
        ('json_name_key = "kind"', '{"kind":"pump","a":1}', "pump a=1"),
        ('json_name_key = "kind"\nname_prefix = "p_"\ntag_keys = ["k*"]', '{"kind":"pump","a":1}', "p_pump,kind=pump a=1"),
        ('json_name_key = "kind"\njson_string_fields = ["kind"]', '{"kind":"pump","a":1}', 'pump kind="pump",a=1'),
        ('json_name_key = "kind"\nname_override = "m"\njson_string_fields = ["kind"]', '{"kind":"pump"}', 'm kind="pump"'),
        ('tag_keys = ["id", "n_*"]', '{"id":12,"n":{"x":true,"deep":{"z":"q"}},"a":1}', "mqtt_consumer,id=12,n_deep_z=q,n_x=true a=1"),
        ('tag_keys = ["{a,b}_[12]"]', '{"a_1":"x","b_2":"y","a_3":3}', "mqtt_consumer,a_1=x,b_2=y a_3=3"),
        ('json_string_fields = ["s*"]', '{"s":"x","s_on":false,"t":"y"}', 'mqtt_consumer s="x",s_on=false'),
        ('json_query = "obj.list"', '{"obj":{"list":[{"a":1},{"a":2}]},"b":3}', "mqtt_consumer a=1"),
        ('json_query = "obj"\ntag_keys = ["id"]', '{"obj":{"id":"x","n":{"a":1}},"id":"outer"}', "mqtt_consumer,id=x n_a=1"),
        ('json_query = "list.1"', '{"list":[{"a":1},{"a":2}]}', "mqtt_consumer a=2"),
        ('json_query = "fav\\\\.movie"', '{"fav.movie":{"a":2}}', "mqtt_consumer a=2"),
        ('fieldpass = ["t_*"]\nfielddrop = ["*_raw"]', '{"t_a":1,"t_raw":2,"x":3}', "mqtt_consumer t_a=1"),
        ('fieldinclude = ["t_*"]\nfieldexclude = ["*_raw"]', '{"t_a":1,"t_raw":2,"x":3}', "mqtt_consumer t_a=1"),
        ('fielddrop = ["id"]\ntag_keys = ["id"]', '{"id":"x","a":1}', "mqtt_consumer,id=x a=1"),
        ('tag_keys = ["id", "kind"]\ntagexclude = ["id"]', '{"id":7,"kind":"k","a":1}', "mqtt_consumer,kind=k a=1"),
        ('tag_keys = ["id", "kind"]\ntaginclude = ["k*"]\ntags = { area = "x" }', '{"id":7,"kind":"k","a":1}', "mqtt_consumer,kind=k a=1"),
        ('tags = { area = "hall 1" }', '{"a":1}', "mqtt_consumer,area=hall\\ 1 a=1"),
        ('topic_tag = "where"', '{"a":1}', "mqtt_consumer,where=t a=1"),
        ('json_time_key = "at"\njson_time_format = "unix"', '{"at":1761758400.25,"a":1}', "mqtt_consumer a=1 1761758400250000000"),
        ('json_time_key = "at"\njson_time_format = "unix"', '{"at":"1761758400","a":1}', "mqtt_consumer a=1 1761758400000000000"),
        ('json_time_key = "at"\njson_time_format = "unix_ms"', '{"at":1761758400250,"a":1}', "mqtt_consumer a=1 1761758400250000000"),
        ('json_time_key = "at"\njson_time_format = "unix_us"', '{"at":1761758400250000,"a":1}', "mqtt_consumer a=1 1761758400250000000"),
        ('json_time_key = "at"\njson_time_format = "unix_ns"', '{"at":1761758400250000000,"a":1}', "mqtt_consumer a=1 1761758400250000000"),
        (
            'json_time_key = "at"\njson_time_format = "2006-01-02T15:04:05Z07:00"',
            '{"at":"2025-10-29T17:20:00.25Z","a":1}',
            "mqtt_consumer a=1 1761758400250000000",
        ),
        (
            'json_time_key = "at"\njson_time_format = "2006-01-02 15:04:05"\njson_timezone = "Europe/Vienna"',
            '{"at":"2025-10-29 18:20:00","a":1}',
            "mqtt_consumer a=1 1761758400000000000",
        ),
        (
            'json_time_key = "at"\njson_time_format = "01/02/2006 15:04:05.000"',
            '{"at":"10\\/29\\/2025 17:20:00.250","a":1}',
            "mqtt_consumer a=1 1761758400250000000",
        ),
        (
            'json_time_key = "at"\njson_time_format = "Mon, 2 Jan 06 3:04PM -0700"',
            '{"at":"Wed, 29 Oct 25 6:20PM +0100","a":1}',
            "mqtt_consumer a=1 1761758400000000000",
        ),
        (
            'json_time_key = "b_time"\njson_time_format = "unix"',
            '{"b":{"time":1761758400,"c":2},"a":1}',
            "mqtt_consumer b_c=2,a=1 1761758400000000000",
        ),
        ('json_name_key = "b_kind_0"', '{"b":{"kind":["k"],"c":2},"a":1}', "k b_c=2,a=1"),
        ('json_time_key = "at"\njson_time_format = "02 Jan 06 15:04 MST"', '{"at":5,"a":1}', "mqtt_consumer a=1"),
        ('json_time_key = "at"\njson_time_format = "unix"', '{"at":8123456,"a":1}', "mqtt_consumer a=1"),
    ],
)
def test_json_gives_the_points_of_telegraf(plugin: Plugin, keys: str, payload: str, line: str) -> None:
    """Names, tags, texts, queries, choices and times."""
    assert plugin(keys).lines("t", payload)[0] == line


def test_a_list_gives_a_point_for_each_item(plugin: Plugin) -> None:
    """Those of one series follow each other; in Telegraf they have one time, and databases keep the last."""
    found, rejects = plugin('tag_keys = ["id"]').decode("t", '[{"id":1,"a":1},{"id":2,"a":2},"bad",{"id":1,"a":3}]')

    assert [(sorted(tags), sorted(fields)) for _name, tags, fields in found] == [
        ([("id", "1")], [("a", 1.0)]),
        ([("id", "2")], [("a", 2.0)]),
        ([("id", "1")], [("a", 3.0)]),
    ]
    assert rejects == []


@pytest.mark.parametrize(
    ("data_type", "payload", "line"),
    [
        ("float", "27.60", "mqtt_consumer value=27.60"),
        ("integer", " 45 ", "mqtt_consumer value=45i"),
        ("long", "45", "mqtt_consumer value=45i"),
        ("string", "ON", 'mqtt_consumer value="ON"'),
        ("boolean", "true", "mqtt_consumer value=true"),
        ("auto_float", "open", 'mqtt_consumer value="open"'),
    ],
)
def test_a_bare_value_is_a_field(plugin: Plugin, data_type: str, payload: str, line: str) -> None:
    """The format `value` with each of its types."""
    assert plugin(f'data_type = "{data_type}"', data_format="value").lines("t", payload) == [line]


def test_the_field_of_a_bare_value_has_the_name_that_is_asked_for(plugin: Plugin) -> None:
    """And a filter of fields has nothing to choose."""
    found = plugin('data_type = "float"\nvalue_field_name = "level"\nfieldpass = ["lev*"]\nfielddrop = ["level"]', data_format="value")

    assert found.lines("t", "1.5") == ["mqtt_consumer level=1.5"]
    assert (found.outcome("fieldpass"), found.outcome("fielddrop")) == ("taken", "left out")


def test_the_topic_is_a_tag_whatever_the_filter(plugin: Plugin) -> None:
    """As Telegraf makes one unless it is told not to."""
    found = plugin('topic_tag = "topic"\nname_override = "m"', '["a/+/c", "b/#"]')

    assert found.lines("a/x/c", '{"v":1}') == ["m,topic=a/x/c v=1"]
    assert found.lines("b", '{"v":1}') == ["m,topic=b v=1"]


PARSING = """
[[inputs.mqtt_consumer.topic_parsing]]
  topic = "plant/+/temp/+"
  measurement = "_/_/measurement/_"
  tags = "site/line/_/sensor"
[[inputs.mqtt_consumer.topic_parsing]]
  topic = "plant/+/#"
  tags = "_/line"
"""


def test_levels_of_a_topic_are_measurement_and_tags(plugin: Plugin) -> None:
    """The first pattern that matches counts; a topic that matches none is left as it is."""
    found = plugin(PARSING, '["plant/#", "plant/l1/temp/+", "other"]')

    assert found.lines("plant/l1/temp/s2", '{"v":1}') == ["temp,line=l1,sensor=s2,site=plant v=1"]
    assert found.lines("plant/l1/more/of/it", '{"v":1}') == ["mqtt_consumer,line=l1 v=1"]
    assert found.lines("other", '{"v":1}') == ["mqtt_consumer v=1"]
    assert found.lines("plant", '{"v":1}') == ["mqtt_consumer v=1"]


def test_levels_of_a_topic_are_fields(plugin: Plugin) -> None:
    """Of the types that are given; others are texts. A level that never changes is none."""
    text = """
[[inputs.mqtt_consumer.topic_parsing]]
  topic = "a/+/+/+"
  fields = "_/count/level/place"
  [inputs.mqtt_consumer.topic_parsing.types]
    count = "int"
    level = "float"
[[inputs.mqtt_consumer.topic_parsing]]
  topic = "b/+"
  fields = "name/_"
"""
    found = plugin(text, '["a/#", "b/#"]')

    assert found.lines("a/5/1.50/x y", '{"v":1}') == ['mqtt_consumer count=5i,level=1.50,place="x y",v=1']
    assert found.lines("b/z", '{"v":1}') == ["mqtt_consumer v=1"]
    outcomes = [found.outcome(f"topic_parsing[{number}].fields") for number in (0, 1)]
    assert outcomes == ["taken", "left out"]


def test_several_plugins_are_one_source_where_they_share_a_connection(plugin: Plugin) -> None:
    """A message goes through all of them, as in Telegraf; filters that overlap are joined, so that none comes twice."""
    second = HEAD.partition("[agent]")[2].partition("\n  omit_hostname = true\n")[2]
    found = plugin(
        f'name_override = "one"\n{second}topics = ["a/b"]\nqos = 2\ndata_format = "value"\ndata_type = "float"\nname_override = "two"',
        '["a/#"]',
    )

    assert found.config is not None
    assert [(topic.filter, topic.qos) for topic in found.config.of(MqttConsumerSection)["mqtt_consumer"].topics] == [("a/#", 2)]
    assert found.lines("a/b", '{"v":1}') == ["one v=1"]
    assert found.lines("a/b", "1") == ["two,topic=a/b value=1"]


def test_other_brokers_and_users_are_other_sources(plugin: Plugin) -> None:
    """Each with a profile and a session of its own; the same topics for another user of one broker would come twice."""
    rest = 'topics = ["t"]\ndata_format = "json"\n[[inputs.mqtt_consumer]]\n'
    found = plugin(
        f'[[inputs.mqtt_consumer]]\nservers = ["ssl://me:pw@[::1]"]\n{rest}servers = ["broker:1883"]\nusername = "u"\n{rest}servers = ["ws://x"]\n{rest}'
    )

    assert found.config is not None
    assert {name: section.broker_url for name, section in found.config.of(MqttConsumerSection).items()} == {
        "mqtt_consumer": "mqtt://broker:1883",
        "mqtt_consumer.telegraf_2": "mqtts://[::1]",
    }
    assert found.config.of(MqttConsumerSection)["mqtt_consumer.telegraf_2"].password.reveal() == "pw"
    assert "as another user" in found.texts()
    assert "WebSockets" in found.texts()
