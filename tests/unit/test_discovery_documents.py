"""Discovery documents keep Home Assistant's rules, whatever a profile calls its metrics."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from home_assistant_rules import faults
from iiot_gateway.config.load import load_text
from iiot_gateway.config.wiring import BUILT_IN_PROFILES, PROFILES
from iiot_gateway.errors import ConfigError
from iiot_gateway.home_assistant.entities import Announcer, Entities, entity_of, node_in, node_of
from iiot_gateway.home_assistant.units import UNITS, meaning_of

ANNOUNCER = Announcer(prefix="homeassistant", client_id="iiot-gateway", status_topic="iiot/gateway/status")

LEVEL = st.text(st.characters(exclude_characters="+#/\0", exclude_categories=("Cs",)), min_size=1, max_size=12)


def series(
    topic: str, *, number: int = 0, kind: str = "number", measurement: str = "", of_receiver: bool = False, **tags: str
) -> dict[str, Any]:
    """Describe a series as `Live` does."""
    measurement = measurement or topic.rpartition("/")[2]
    return {
        "id": number,
        "topic": topic,
        "measurement": measurement,
        "tags": tags,
        "unit": tags.get("unit"),
        "kind": kind,
        "source": "serial",
        "of_receiver": of_receiver,
    }


def described(announcer: Announcer, one: dict[str, Any]) -> dict[str, Any]:
    """Return the document of a series."""
    topic, document = announcer.document(one, one["kind"])
    assert faults("homeassistant", topic, document) == []
    read: dict[str, Any] = json.loads(document)
    return read


@pytest.mark.parametrize(
    ("unit", "measurement", "shown"),
    [
        ("celsius", "temperature", ("°C", "temperature")),
        ("percent", "humidity", ("%", "humidity")),
        ("hpa", "pressure", ("hPa", "pressure")),
        ("ohms", "gas_resistance", ("Ω", None)),
        ("millivolts", "battery", ("mV", "voltage")),
        ("percent", "battery", ("%", "battery")),
        ("percent", "valve", ("%", None)),
        ("dbm", "rssi", ("dBm", "signal_strength")),
        ("db", "snr", ("dB", None)),
        ("furlongs", "way", ("furlongs", None)),
        (None, "packets_received", (None, None)),
    ],
)
def test_a_unit_of_a_profile_gets_its_unit_and_class(unit: str | None, measurement: str, shown: tuple[str | None, str | None]) -> None:
    """Millivolts are no battery level, and a unit that nobody knows goes on as it is."""
    meaning = meaning_of(unit, measurement)

    assert (meaning.unit, meaning.device_class) == shown


def test_every_unit_of_the_table_keeps_the_rules() -> None:
    """Under its symbol and under each of its names."""
    for meaning, names in UNITS.items():
        for unit in (meaning.unit, *names):
            document = described(ANNOUNCER, series("iiot/node1/value", node="node1", unit=str(unit)))

            assert document["unit_of_measurement"] == meaning.unit, unit


def test_every_unit_of_the_built_in_profiles_is_in_the_table() -> None:
    """A profile that is added names units that Home Assistant can be told."""
    texts = [(PROFILES / f"{name}.toml").read_text() for name in BUILT_IN_PROFILES]
    units = {
        metric["tags"]["unit"] for text in texts for metric in tomllib.loads(text).get("metric", []) if "unit" in metric.get("tags", {})
    }

    assert {"celsius", "dbm"} <= units
    assert {unit for unit in units if meaning_of(unit, "").unit not in {meaning.unit for meaning in UNITS}} == set()


def test_a_metric_is_a_sensor_of_its_node_and_the_node_a_device_behind_the_gateway() -> None:
    """With the gateway's own status as availability."""
    topic, document = ANNOUNCER.document(series("iiot/node1/gas_resistance", node="node1", unit="ohms"), "number")

    assert topic == "homeassistant/sensor/iiot-gateway/iiot-node1-gas_resistance/config"
    read = json.loads(document)
    assert {key: read[key] for key in read if key != "origin"} == {
        "name": "Gas resistance",
        "unique_id": "iiot-gateway-iiot-node1-gas_resistance",
        "state_topic": "iiot/node1/gas_resistance",
        "availability_topic": "iiot/gateway/status",
        "device": {"identifiers": ["iiot-gateway/iiot/node1"], "name": "node1", "via_device": "iiot-gateway"},
        "state_class": "measurement",
        "unit_of_measurement": "Ω",
    }


def test_the_gateway_itself_is_a_device_with_a_connection() -> None:
    """Devices name it as the way to them, so it must be there."""
    topic, document = ANNOUNCER.gateway_document()

    assert faults("homeassistant", topic, document) == []
    assert json.loads(document)["device"]["identifiers"] == ["iiot-gateway"]
    assert node_in(document) is None


@pytest.mark.parametrize(
    ("topic", "node", "name"),
    [("iiot/signal/rssi", "signal", "Signal RSSI"), ("hall/2/stats/packets_received", "stats", "Stats packets received")],
)
def test_what_a_receiver_tells_of_itself_is_a_diagnostic_of_the_gateway(topic: str, node: str, name: str) -> None:
    """The signal of what was heard is no node; but `retired` can name it as one."""
    one = series(topic, of_receiver=True, node=node)
    document = described(ANNOUNCER, one)

    assert document["device"] == json.loads(ANNOUNCER.gateway_document()[1])["device"]
    assert (document["name"], document["entity_category"]) == (name, "diagnostic")
    assert node_in(ANNOUNCER.document(one, "number")[1]) == node_of(one)
    assert node_of(one).is_called(node)


@pytest.mark.parametrize(("topic", "tags"), [("site/line3/stats/rejects", {}), ("iiot/stats/pump/level", {"node": "stats"})])
def test_a_level_of_that_name_is_a_node_like_others(topic: str, tags: dict[str, str]) -> None:
    """Only a profile makes a value the receiver's, and only where the topic names its node."""
    assert described(ANNOUNCER, series(topic, of_receiver=bool(tags), **tags))["device"]["via_device"] == "iiot-gateway"


@pytest.mark.parametrize(
    ("topic", "tags", "place", "name"),
    [
        ("iiot/node1/temperature", {"node": "node1"}, "iiot/node1", "node1"),
        ("hall/2/pump/signal/rssi", {"device": "pump"}, "hall/2/pump", "pump"),
        ("site/line3/tank/level", {}, "site/line3/tank", "tank"),
        ("iiot/x/level", {"node": "tank 4"}, "serial/tank 4", "tank 4"),
        ("level", {}, "level", "level"),
    ],
)
def test_a_node_is_named_by_its_tag_or_by_the_level_above_the_metric(topic: str, tags: dict[str, str], place: str, name: str) -> None:
    """The same name under another prefix is another node."""
    node = node_of(series(topic, **tags))

    assert (node.place, node.name) == (place, name)
    assert node_in(ANNOUNCER.document(series(topic, **tags), "number")[1]) == node


@given(
    st.lists(LEVEL, min_size=1, max_size=5),
    st.dictionaries(st.sampled_from(["node", "device", "unit"]), LEVEL),
    st.sampled_from(["number", "bool", "text"]),
)
def test_any_topic_and_tags_give_a_document_that_keeps_the_rules(levels: list[str], tags: dict[str, str], kind: str) -> None:
    """Profiles are written by users: spaces, umlauts and punctuation included."""
    topic, document = ANNOUNCER.document(series("/".join(levels), **tags), kind)

    found = faults("homeassistant", topic, document)

    assert [fault for fault in found if "begin with that of the device" not in fault] == []


@given(st.text(max_size=20), st.text(max_size=20))
def test_two_topics_never_share_an_identifier(one: str, other: str) -> None:
    """Though it has fewer characters than topics."""
    assert (entity_of(one) == entity_of(other)) == (one == other)


def test_topics_that_look_alike_keep_apart() -> None:
    """A slash, a hyphen and a space are all written as a hyphen."""
    assert len({entity_of(text) for text in ("a/b", "a-b", "a b", "a/b-c", "a-b/c", "a_b")}) == 6


def test_true_and_false_are_a_binary_sensor_until_another_value_comes() -> None:
    """Then it is text for good, and the first document is withdrawn."""
    entities = Entities(ANNOUNCER)
    entities.take(series("iiot/node1/open", kind="bool", node="node1"))
    (binary,) = entities.documents
    entities.change(0, "text")
    entities.change(0, "bool")

    assert "/binary_sensor/" in binary
    (sensor,) = entities.documents
    assert "/sensor/" in sensor
    assert entities.withdrawn == {binary}
    assert faults("homeassistant", sensor, entities.documents[sensor]) == []


def test_a_value_that_expires_says_so() -> None:
    """Only if it is asked for."""
    announcer = Announcer(prefix="homeassistant", client_id="a b", status_topic="iiot/gateway/status", expire_after_s=90)

    assert described(announcer, series("iiot/node1/temperature", node="node1", unit="celsius"))["expire_after"] == 90
    assert "expire_after" not in described(ANNOUNCER, series("iiot/node1/temperature"))


def test_a_series_of_which_only_the_topic_is_known_waits_for_its_first_frame() -> None:
    """After a restart `Live` knows values of before without their units."""
    entities = Entities(ANNOUNCER)

    entities.take({**series("iiot/node1/temperature"), "source": ""})
    entities.take({**series("iiot/node1/hidden"), "topic": None})

    assert entities.documents == {}


def test_every_fault_of_the_section_is_told() -> None:
    """Discovery needs a broker, and topics that can be."""
    text = '[home_assistant]\ndiscovery = true\nmqtt = ["mqtt.site"]\ndiscovery_prefix = "home/#"\nstatus_topic = ""\nexpire_after_s = -1\n'

    with pytest.raises(ConfigError) as raised:
        load_text(text)

    assert [(fault.line, fault.key) for fault in raised.value.faults] == [
        (line, f"home_assistant.{key}")
        for line, key in [(2, "discovery"), (3, "mqtt"), (4, "discovery_prefix"), (5, "status_topic"), (6, "expire_after_s")]
    ]


def test_names_and_units_hold_nothing_that_mqtt_does_not_allow() -> None:
    """Tags may; Home Assistant makes names and topics of its own from what it is told."""
    document = described(ANNOUNCER, series("iiot/a_b/value", node="a\u0085b", unit="x\ufffe"))

    assert document["device"]["name"] == "a_b"
    assert document["device"]["identifiers"] == ["iiot-gateway/iiot/a_b"]
    assert document["unit_of_measurement"] == "x_"


def test_a_document_has_a_topic_that_mqtt_takes_however_long_the_value_s_is() -> None:
    """Two long topics that differ at their ends have two documents."""
    announcer = Announcer(prefix="p" * 32000, client_id="c" * 65000, status_topic="iiot/gateway/status")
    topics = {announcer.document(series(f"iiot/{'x' * 65000}/{end}"), "number")[0] for end in "ab"}

    assert len(topics) == 2
    assert all(len(topic) < 65535 for topic in topics)
