"""What documents may not do with topics: end the connection to a broker, or speak for the gateway."""

from __future__ import annotations

import json
import os
import tty
from collections.abc import Callable, Iterator

import pytest
from scripted_database import TAKEN, ScriptedDatabase

from gateways import Gateway, assert_balanced
from servers import Mosquitto
from subscribers import Subscriber, retained

pytestmark = pytest.mark.slow

PROFILE = """\
name = "free"
[[metric]]
path = "o.*"
topic = "{id}/{1}"
measurement = "{1}"
tags = { node = "{id}" }
type = "any"
retain = true
"""
OWN = "topic_of_the_gateway: "


@pytest.fixture
def nodes(gateway: Gateway) -> Iterator[Callable[[dict[str, object]], None]]:
    """Write the profile, and return a function that prints a document on the serial port `nodes`, a link in the gateway's folder."""
    (gateway.folder / "free.toml").write_text(PROFILE)
    master, slave = os.openpty()
    tty.setraw(slave)
    (gateway.folder / "nodes").symlink_to(os.ttyname(slave))

    def say(document: dict[str, object]) -> None:
        os.write(master, json.dumps(document).encode() + b"\n")

    yield say
    os.close(master)
    os.close(slave)


def configure(gateway: Gateway, broker: Mosquitto, more: str = "", keys: str = "") -> None:
    """Write a configuration with the port and a broker."""
    port = f'[serial]\nport = "{gateway.folder / "nodes"}"\nprofile = "free.toml"\n{keys}'
    gateway.configure(f'{port}\n[mqtt]\nbroker_url = "{broker.url}"\n{more}')


def start(gateway: Gateway) -> None:
    """Start it and wait until it has the port, which it empties first, and the broker."""
    gateway.start("run")
    gateway.until(lambda s: s["source"]["serial"]["state"] == "running" and s["sinks"]["mqtt"]["state"] == "connected", "port and broker")


def reasons(gateway: Gateway) -> list[str]:
    """Return why the sink rejected values, the oldest first."""
    listed = json.loads(gateway.run("rejects", "--json").stdout)
    return [reject["reason"] for reject in sorted(listed, key=lambda reject: reject["id"]) if reject["sink"] == "mqtt"]


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_a_control_character_does_not_stop_the_others(
    protocol: str,
    gateway: Gateway,
    mosquitto: Mosquitto,
    subscribe: Callable[..., Subscriber],
    nodes: Callable[[dict[str, object]], None],
) -> None:
    """It is replaced as a slash is; what comes behind it arrives, over the same connection."""
    subscriber = subscribe(mosquitto)
    configure(gateway, mosquitto, f'protocol = "{protocol}"')
    start(gateway)
    for name in ("a\nb", "c\u0085d", "e\uffff", "f\u0000", "good"):
        nodes({"id": name, "o": {"x": 1, "y\u007f": "any\ntext"}})

    status = gateway.until(lambda s: s["sinks"]["mqtt"]["delivered"] == 5, "the delivery")

    assert_balanced(status)
    assert status["sinks"]["mqtt"]["reconnects"] == 0
    subscriber.catch_up()
    seen = {topic: subscriber.last(topic) for topic in subscriber.messages}
    for name in ("a_b", "c_d", "e_", "f_", "good"):
        assert (seen[f"iiot/{name}/x"], seen[f"iiot/{name}/y_"]) == ("1", "any\ntext")
    assert gateway.stop() == 0


def test_a_topic_that_is_too_long_costs_one_value(
    gateway: Gateway, mosquitto: Mosquitto, subscribe: Callable[..., Subscriber], nodes: Callable[[dict[str, object]], None]
) -> None:
    """65,535 bytes with the prefix go; one more is rejected, and the other values of its frame and later ones arrive."""
    subscriber = subscribe(mosquitto)
    longest = "x" * (65535 - len("iiot//y"))
    configure(gateway, mosquitto, keys="max_document_bytes = 200000\n")
    start(gateway)
    nodes({"id": longest, "o": {"y": 1, "yy": 2}})
    nodes({"id": "good", "o": {"y": 3}})

    status = gateway.until(lambda s: s["sinks"]["mqtt"]["delivered"] == 1, "the delivery")

    assert_balanced(status)
    assert status["sinks"]["mqtt"]["rejected"] == 1
    subscriber.catch_up()
    assert subscriber.last(f"iiot/{longest}/y") == "1"
    assert subscriber.last("iiot/good/y") == "3"
    assert reasons(gateway) == ["topic_name_invalid: it is longer than 65535 bytes"]


def test_a_node_called_gateway_does_not_speak_for_the_gateway(
    gateway: Gateway, mosquitto: Mosquitto, nodes: Callable[[dict[str, object]], None]
) -> None:
    """Its values for the gateway's topics are rejected with that reason and kept in the database; its other frames arrive."""
    database = ScriptedDatabase(lambda _lines: TAKEN)
    more = f'health_interval_s = 3600\n[influxdb]\nurl = "{database.url}"\norg = "o"\nbucket = "b"\nbatch_interval_ms = 0\n'
    configure(gateway, mosquitto, more)
    start(gateway)
    nodes({"id": "gateway", "o": {"status": "offline", "health": "none"}})
    nodes({"id": "node1", "o": {"status": "good"}})

    status = gateway.until(
        lambda s: s["sinks"]["mqtt"]["queued"] == s["sinks"]["influxdb"]["queued"] == 0 and s["intake"]["accepted"] == 2, "both"
    )

    assert_balanced(status)
    assert (status["sinks"]["mqtt"]["rejected"], status["sinks"]["mqtt"]["delivered"]) == (1, 1)
    assert status["sinks"]["influxdb"]["delivered"] == 2
    assert {line.split(",")[0] for line in database.taken} == {"status", "health"}
    found = retained(mosquitto.port, expect={"iiot/gateway/status", "iiot/gateway/health", "iiot/node1/status"})
    assert (found["iiot/gateway/status"], found["iiot/node1/status"]) == ("online", "good")
    assert json.loads(found["iiot/gateway/health"])["intake"]
    assert reasons(gateway) == [f"{OWN}iiot/gateway/# belongs to the gateway itself"] * 2
    assert gateway.stop() == 0
    database.close()


def test_topics_of_commands_are_the_gateways_while_it_takes_commands(
    gateway: Gateway, mosquitto: Mosquitto, nodes: Callable[[dict[str, object]], None]
) -> None:
    """Without [downlink] they are topics like any other."""
    (gateway.folder / "free.toml").write_text(PROFILE.replace('"o.*"', '"o.*.*"').replace("{1}", "{1}/{2}", 1))
    configure(gateway, mosquitto)
    start(gateway)
    nodes({"id": "node1", "o": {"set": {"led": "on"}, "state": {"led": "done"}}})
    gateway.until(lambda s: s["sinks"]["mqtt"]["delivered"] == 1, "the delivery")
    assert retained(mosquitto.port, expect={"iiot/node1/state/led"})["iiot/node1/set/led"] == "on"
    assert gateway.stop() == 0

    configure(gateway, mosquitto, f'[downlink]\nkey = "{"0" * 32}"\n')
    start(gateway)
    nodes({"id": "node2", "o": {"set": {"led": "on"}, "state": {"led": "done"}, "other": {"led": 1}}})
    gateway.until(lambda s: s["sinks"]["mqtt"]["rejected"] == 1, "the rejects")

    found = retained(mosquitto.port, expect={"iiot/node2/other/led"})
    assert not {"iiot/node2/set/led", "iiot/node2/state/led"} & set(found)
    own = [f"{OWN}iiot/+/{name}/# belongs to the gateway itself" for name in ("set", "state")]
    assert sorted(reasons(gateway)) == own
    assert gateway.stop() == 0


def test_another_prefix_of_the_gateway_on_the_same_broker_is_its_own_too(
    gateway: Gateway, mosquitto: Mosquitto, nodes: Callable[[dict[str, object]], None]
) -> None:
    """A second section about that broker has its status under its own prefix; where the gateway has none, values go."""
    second = f'client_id = "second"\ntopic_prefix = "plant"\nbroker_url = "{mosquitto.url}"\n'
    configure(gateway, mosquitto, f"[mqtt.plant]\n{second}", keys='topic_prefix = "plant"\n')
    start(gateway)
    nodes({"id": "gateway", "o": {"status": "offline"}})
    gateway.until(lambda s: s["sinks"]["mqtt"]["rejected"] == s["sinks"]["mqtt.plant"]["rejected"] == 1, "the rejects")
    assert retained(mosquitto.port, "plant/#", expect={"plant/gateway/status"})["plant/gateway/status"] == "online"
    assert gateway.stop() == 0

    configure(gateway, mosquitto, keys='topic_prefix = "third"\n')
    start(gateway)
    nodes({"id": "gateway", "o": {"status": "5"}})
    gateway.until(lambda s: s["sinks"]["mqtt"]["delivered"] == 1, "the delivery")
    assert retained(mosquitto.port, "third/#", expect={"third/gateway/status"})["third/gateway/status"] == "5"


def test_home_assistant_hears_of_no_value_that_is_not_published(
    gateway: Gateway, mosquitto: Mosquitto, nodes: Callable[[dict[str, object]], None]
) -> None:
    """It would listen to the gateway's own topics as if they were a sensor's; and no node replaces the documents."""
    (gateway.folder / "free.toml").write_text(PROFILE.replace("{id}/{1}", "sensor/iiot-gateway/{1}/config"))
    configure(gateway, mosquitto, "[home_assistant]\ndiscovery = true\n", keys='topic_prefix = "homeassistant"\n')
    start(gateway)
    nodes({"id": "x", "o": {"forged": "not a document"}})
    gateway.until(lambda s: s["sinks"]["mqtt"]["rejected"] == 1, "the reject")
    assert gateway.stop() == 0

    (gateway.folder / "free.toml").write_text(PROFILE)
    configure(gateway, mosquitto, "[home_assistant]\ndiscovery = true\n")
    start(gateway)
    nodes({"id": "gateway", "o": {"status": 1}})
    nodes({"id": "node1", "o": {"status": 2}})
    gateway.until(lambda s: (s["sinks"]["mqtt"]["rejected"], s["sinks"]["mqtt"]["delivered"]) == (2, 1), "both")

    wanted = {"homeassistant/binary_sensor/iiot-gateway/gateway/config", "homeassistant/sensor/iiot-gateway/iiot-node1-status/config"}
    assert set(retained(mosquitto.port, "homeassistant/#", expect=wanted)) == wanted
