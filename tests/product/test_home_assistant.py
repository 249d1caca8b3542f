"""Discovery over real brokers, with paho in the part of Home Assistant: birth, restarts, retirement, and a broker that forgets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateways import Gateway, assert_balanced
from home_assistant_rules import faults
from servers import Mosquitto, free_port, until
from simulated import topics
from subscribers import Subscriber

pytestmark = pytest.mark.slow

PREFIX = "homeassistant"
ALL = f"{PREFIX}/#"
GATEWAY = f"{PREFIX}/binary_sensor/iiot-gateway/gateway/config"
TOPICS = topics(2)
"""Of what `configure` lets run."""
OF_NODE3 = {topic for topic in TOPICS if topic.startswith("iiot/node3/")}
NODE3 = {f"{PREFIX}/sensor/iiot-gateway/{topic.replace('/', '-')}/config" for topic in OF_NODE3}


def configure(gateway: Gateway, broker_url: str, *, nodes: int = 2, keys: str = "", more: str = "") -> None:
    """Let some nodes send to a broker, with discovery on."""
    simulate = f"[simulate]\nnodes = {nodes}\nrate_per_s = 20\n" if nodes else f'[serial]\nport = "{gateway.folder}/nothing"\n'
    gateway.configure(f'{simulate}[mqtt]\nbroker_url = "{broker_url}"\n[home_assistant]\ndiscovery = true\n{keys}\n{more}')


def present(home: Subscriber) -> dict[str, str]:
    """Return the discovery documents as the broker should have them now."""
    last = {topic: seen[-1][0] for topic, seen in home.messages.items() if topic.endswith("/config")}
    return {topic: document for topic, document in last.items() if document}


def sensors(home: Subscriber) -> dict[str, dict[str, Any]]:
    """Return the documents of sensors by their state topics."""
    read = (json.loads(document) for topic, document in present(home).items() if topic != GATEWAY)
    return {document["state_topic"]: document for document in read}


def wait_for(home: Subscriber, wanted: set[str]) -> dict[str, str]:
    """Wait until the gateway and a sensor of each of these topics, and of no other, are announced."""
    home.wait(lambda s: GATEWAY in present(s) and set(sensors(s)) == wanted, f"sensors of {sorted(wanted)}")
    return present(home)


def test_every_metric_is_announced_and_each_document_keeps_the_rules(
    gateway: Gateway, mosquitto: Mosquitto, subscribe: Callable[..., Subscriber]
) -> None:
    """Its state topic is one that the gateway publishes to, and the values go their way as without discovery."""
    home, values = subscribe(mosquitto, ALL), subscribe(mosquitto, "iiot/#")
    configure(gateway, mosquitto.url)
    gateway.start("run")

    documents = wait_for(home, TOPICS)

    assert [fault for topic, document in documents.items() for fault in faults(PREFIX, topic, document.encode())] == []
    read = [json.loads(document) for document in documents.values()]
    assert len({document["unique_id"] for document in read}) == len(read)
    values.wait(lambda s: set(s.messages) >= TOPICS, "a value of every sensor")
    assert {document["device"]["name"] for document in read} == {"iiot-gateway", "node1", "node2", "node3"}
    devices = {identifier for document in read for identifier in document["device"]["identifiers"]}
    assert {document["device"].get("via_device", "iiot-gateway") for document in read} <= devices
    assert values.last(sensors(home)["iiot/node1/temperature"]["availability_topic"]) == "online"
    of_gateway = {document["name"] for document in read if document["device"]["identifiers"] == ["iiot-gateway"]}
    assert of_gateway == {"Connection", "Signal RSSI", "Signal SNR", "Stats packets received", "Stats CRC errors"}
    battery = sensors(home)["iiot/node1/battery"]
    assert (battery["device_class"], battery["unit_of_measurement"]) == ("voltage", "mV")
    assert gateway.stop() == 0
    assert_balanced(gateway.status())
    assert values.messages["iiot/gateway/status"][-1][0] == "offline"


def test_a_birth_is_answered_with_everything_and_nothing_else_is_repeated(
    gateway: Gateway, mosquitto: Mosquitto, subscribe: Callable[..., Subscriber]
) -> None:
    """What Home Assistant says of its end, or what the broker has kept of an earlier birth, changes nothing."""
    home = subscribe(mosquitto, ALL)
    home.publish("homeassistant/status", "online", retain=True)
    configure(gateway, mosquitto.url)
    gateway.start("run")
    documents = wait_for(home, TOPICS)
    assert {len(home.messages[topic]) for topic in documents} == {1}

    home.publish("homeassistant/status", "offline")
    home.publish("homeassistant/status", "online")
    home.wait(lambda s: all(len(s.messages[topic]) >= 2 for topic in documents), "everything once more")

    home.catch_up_on(f"{PREFIX}/test/marker")
    assert {topic: [seen for seen, _ in home.messages[topic]] for topic in documents} == {
        topic: [text] * 2 for topic, text in documents.items()
    }


def test_after_a_restart_silent_nodes_stay_and_nothing_is_written_anew(
    gateway: Gateway, mosquitto: Mosquitto, subscribe: Callable[..., Subscriber]
) -> None:
    """The broker has the documents; but a birth brings those of the silent nodes as well."""
    home = subscribe(mosquitto, ALL)
    configure(gateway, mosquitto.url)
    gateway.start("run")
    documents = wait_for(home, TOPICS)
    gateway.kill9()
    for file in gateway.folder.glob("journal.db*"):
        file.unlink()
    configure(gateway, mosquitto.url, nodes=1)
    gateway.start("run")
    home.wait(lambda s: len(s.messages[GATEWAY]) == 2, "the gateway again")
    gateway.until(lambda s: s["sinks"]["mqtt"]["delivered"] > 10, "some packets")

    home.publish("homeassistant/status", "online")
    home.wait(lambda s: all(len(s.messages[topic]) >= 2 for topic in documents), "everything once more, of the silent node too")
    home.catch_up_on(f"{PREFIX}/test/marker")

    assert present(home) == documents
    assert {len(home.messages[topic]) for topic in documents if topic != GATEWAY} == {2}


def test_a_retired_node_is_removed_and_stays_away(gateway: Gateway, mosquitto: Mosquitto, subscribe: Callable[..., Subscriber]) -> None:
    """Though it still sends; the others stay."""
    home = subscribe(mosquitto, ALL)
    configure(gateway, mosquitto.url)
    gateway.start("run")
    before = wait_for(home, TOPICS)
    assert gateway.stop() == 0

    configure(gateway, mosquitto.url, keys='retired = ["node3"]')
    gateway.start("run")
    after = wait_for(home, TOPICS - OF_NODE3)
    home.publish("homeassistant/status", "online")
    home.wait(lambda s: len(s.messages[GATEWAY]) == 3, "the answer to the birth")
    home.catch_up_on(f"{PREFIX}/test/marker")

    assert set(before) - set(after) == NODE3
    assert present(home) == after
    assert {home.messages[topic][-1][0] for topic in NODE3} == {""}
    assert '"nodes": ["node3"]' in gateway.log()


def test_a_broker_that_forgot_everything_is_told_again(
    gateway: Gateway, mosquitto: Mosquitto, subscribe: Callable[..., Subscriber]
) -> None:
    """As soon as the sink has its connection again."""
    home = subscribe(mosquitto, ALL)
    configure(gateway, mosquitto.url)
    gateway.start("run")
    documents = wait_for(home, TOPICS)

    mosquitto.kill9()
    mosquitto.start()
    home.wait(lambda s: all(len(s.messages[topic]) >= 2 for topic in documents), "everything again")

    assert present(home) == documents
    assert_balanced(gateway.ask())


def test_rules_of_alerts_are_problems_of_the_gateway(gateway: Gateway, mosquitto: Mosquitto, subscribe: Callable[..., Subscriber]) -> None:
    """Each has the topic that tells of it; one that is used no more goes, with its topic."""
    home, states = subscribe(mosquitto, ALL), subscribe(mosquitto, "iiot/gateway/alerts/#")
    rule = '[[alert]]\nname = "cold"\nmeasurement = "temperature"\nfield = "value"\nbelow = 500\n'
    configure(gateway, mosquitto.url, more=f'[alerts]\noff = ["node_silent"]\n{rule}')
    gateway.start("run")
    place = f"{PREFIX}/binary_sensor/iiot-gateway/alert-cold/config"
    home.wait(lambda s: place in present(s), "the rule")
    document = json.loads(present(home)[place])
    states.wait(lambda s: json.loads(s.last(document["state_topic"]) or "{}").get("state") == "firing", "the state")

    assert faults(PREFIX, place, present(home)[place].encode()) == []
    assert (document["device_class"], document["name"]) == ("problem", "Alert cold")
    assert document["device"]["identifiers"] == ["iiot-gateway"]
    assert document["state_topic"] == document["json_attributes_topic"] == "iiot/gateway/alerts/cold"
    assert not any("node_silent" in topic for topic in present(home))
    assert gateway.stop() == 0

    configure(gateway, mosquitto.url, more="[alerts]\n")
    gateway.start("run")
    home.wait(lambda s: place not in present(s), "the end of the rule")
    states.wait(lambda s: s.last("iiot/gateway/alerts/cold") == "", "the end of its topic")
    home.wait(lambda s: f"{PREFIX}/binary_sensor/iiot-gateway/alert-node_silent/config" in present(s), "another rule")


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_a_broker_that_does_not_let_it_announce_costs_no_value(
    gateway: Gateway, launch: Callable[..., Mosquitto], subscribe: Callable[..., Subscriber], tmp_path: Any, protocol: str
) -> None:
    """The log says what to allow, whether the broker refuses or silently throws away."""
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite iiot/#\ntopic read homeassistant/status\n")
    broker = launch(Mosquitto, extra=f"acl_file {acl}\n")
    values = subscribe(broker)
    configure(gateway, broker.url)
    gateway.config.write_text(gateway.config.read_text().replace("[mqtt]", f'[mqtt]\nprotocol = "{protocol}"'))
    gateway.start("run")

    until(lambda: "discovery_unavailable" in gateway.log() or "discovery_not_read_back" in gateway.log(), "the event", 60)

    assert "homeassistant/+/iiot-gateway/+/config" in gateway.log()
    seen = len(values.messages["iiot/node1/temperature"])
    values.wait(lambda s: len(s.messages["iiot/node1/temperature"]) > seen, "further values")
    assert gateway.ask()["sinks"]["mqtt"]["state"] == "connected"
    doctor = gateway.run("doctor")
    assert doctor.returncode == 1
    assert "to write homeassistant/+/iiot-gateway/#" in doctor.stdout


def test_it_goes_over_the_built_in_broker_and_its_documents_survive_a_kill(gateway: Gateway, subscribe: Callable[..., Subscriber]) -> None:
    """The broker keeps what is not a value in its own file."""
    port = free_port()
    configure(gateway, "embedded", more=f'[broker]\nlisten = "127.0.0.1:{port}"\n')
    gateway.start("run")
    gateway.until(lambda s: s["sinks"]["mqtt"]["state"] == "connected", "the broker")
    home = Subscriber(port, ALL).start()
    try:
        documents = wait_for(home, TOPICS)
    finally:
        home.stop()
    gateway.kill9()

    configure(gateway, "embedded", nodes=0, more=f'[broker]\nlisten = "127.0.0.1:{port}"\n')
    gateway.start("run")
    gateway.until(lambda s: s["sinks"]["mqtt"]["state"] == "connected", "the broker again")
    later = Subscriber(port, ALL).start()
    try:
        assert wait_for(later, TOPICS) == documents
        assert gateway.stop() == 0
    finally:
        later.stop()


def test_a_broker_hears_only_of_what_its_sink_takes(gateway: Gateway, mosquitto: Mosquitto, subscribe: Callable[..., Subscriber]) -> None:
    """A sensor that never gets a value would be a lie."""
    home = subscribe(mosquitto, ALL)
    configure(gateway, mosquitto.url, more="[history]\n")
    gateway.config.write_text(gateway.config.read_text().replace("[mqtt]", '[mqtt]\nprofiles = ["chirpstack"]'))
    gateway.start("run")
    gateway.until(lambda s: s["sinks"]["history"]["delivered"] > 10, "some packets")
    home.wait(lambda s: GATEWAY in present(s), "the gateway")

    home.publish("homeassistant/status", "online")
    home.wait(lambda s: len(s.messages[GATEWAY]) == 2, "the answer to the birth")
    home.catch_up_on(f"{PREFIX}/test/marker")

    assert set(present(home)) == {GATEWAY}


def test_off_by_default_it_makes_no_connection(gateway: Gateway, mosquitto: Mosquitto, subscribe: Callable[..., Subscriber]) -> None:
    """Nothing is published beside the values."""
    home = subscribe(mosquitto, ALL)
    gateway.configure(f'[simulate]\nrate_per_s = 20\n[mqtt]\nbroker_url = "{mosquitto.url}"\n')
    gateway.start("run")
    gateway.until(lambda s: s["sinks"]["mqtt"]["delivered"] > 10, "some packets")

    home.catch_up_on(f"{PREFIX}/test/marker")

    assert present(home) == {}
    assert "iiot-gateway-discovery" not in mosquitto.log_path.read_text()
