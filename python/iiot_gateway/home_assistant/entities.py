"""Makes the discovery documents for Home Assistant from the series that the gateway publishes. Pure.

PREFIX/sensor/GATEWAY/ENTITY/config          a number or a text
PREFIX/binary_sensor/GATEWAY/ENTITY/config   true and false
PREFIX/binary_sensor/GATEWAY/gateway/config  whether the gateway itself is online
PREFIX/binary_sensor/GATEWAY/alert-RULE/config  whether an alert of a rule is firing

GATEWAY is made from the client id and ENTITY from the topic, with only the characters that Home Assistant accepts there. So a gateway
finds all its own documents at the broker, and no others, with one subscription.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from iiot_gateway import __version__
from iiot_gateway._native import mqtt_text
from iiot_gateway.home_assistant.units import meaning_of

NODE_TAGS = ("node", "device")
"""The tags that name the origin of a value, in the order of preference. Without them, the topic's second-last level names it."""
IN_CAPITALS = {"rssi", "snr", "crc", "co2", "id", "uid", "voc", "iaq"}
ORIGIN = {"name": "iiot-gateway", "sw_version": __version__}
ONLINE, OFFLINE = "online", "offline"
LONGEST_IDENTIFIER = 1000


@dataclass(frozen=True, slots=True)
class Node:
    """A device of Home Assistant: `place` identifies it, and `name` is its name for people."""

    place: str
    name: str

    def is_called(self, name: str) -> bool:
        """Return whether `name` names this node."""
        return name in (self.name, self.place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcer:
    """Writes the documents of one gateway at one broker."""

    prefix: str
    """The discovery prefix."""
    client_id: str
    status_topic: str
    """The topic on which the gateway publishes "online" and "offline"."""
    expire_after_s: int = 0

    @property
    def gateway(self) -> str:
        """The gateway's own level in the topics, which is also its identifier as a device."""
        return identifier(self.client_id)

    def own_documents(self) -> str:
        """Return the filter that matches every document of this gateway and no other document."""
        return f"{self.prefix}/+/{self.gateway}/+/config"

    def gateway_document(self) -> tuple[str, bytes]:
        """Return the topic and the document of the gateway itself."""
        document = {
            "name": "Connection",
            "unique_id": f"{self.gateway}-connection",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "state_topic": self.status_topic,
            "payload_on": ONLINE,
            "payload_off": OFFLINE,
            "device": self._device(),
            "origin": ORIGIN,
        }
        return f"{self.prefix}/binary_sensor/{self.gateway}/gateway/config", _written(document)

    def document(self, series: Mapping[str, Any], kind: str) -> tuple[str, bytes]:
        """Return the topic and the document of a series in the form of `Live`. `kind` is number, bool or text."""
        topic, node = str(series["topic"]), node_of(series)
        entity = entity_of(topic)
        document: dict[str, Any] = {
            "name": _name(topic, node),
            "unique_id": f"{self.gateway}-{entity}",
            "state_topic": topic,
            "availability_topic": self.status_topic,
            "device": {"identifiers": [f"{self.gateway}/{node.place}"], "name": node.name, "via_device": self.gateway},
            "origin": ORIGIN,
        }
        component = "sensor"
        if kind == "bool":
            component = "binary_sensor"
            document |= {"payload_on": "true", "payload_off": "false"}
        elif kind == "number":
            meaning = meaning_of(mqtt_text(series["unit"] or ""), str(series["measurement"]))
            document |= {"state_class": meaning.state_class}
            if meaning.unit:
                document["unit_of_measurement"] = meaning.unit
            if meaning.device_class:
                document["device_class"] = meaning.device_class
            if meaning.diagnostic:
                document["entity_category"] = "diagnostic"
        if _is_of_the_receiver(series):
            document |= {
                "name": f"{_in_words(node.name)} {_in_words(topic.rpartition('/')[2], first=False)}",
                "entity_category": "diagnostic",
                "device": self._device(),
            }
        if self.expire_after_s:
            document["expire_after"] = self.expire_after_s
        return f"{self.prefix}/{component}/{self.gateway}/{entity}/config", _written(document)

    def alert_document(self, rule: str, topic: str) -> tuple[str, bytes]:
        """Return the topic and the document of an alert rule whose state is published on a topic."""
        entity = f"alert-{rule}"
        document = {
            "name": f"Alert {_in_words(rule, first=False)}",
            "unique_id": f"{self.gateway}-{entity}",
            "device_class": "problem",
            "state_topic": topic,
            "value_template": "{{ 'ON' if value_json.state == 'firing' else 'OFF' }}",
            "json_attributes_topic": topic,
            "availability_topic": self.status_topic,
            "device": self._device(),
            "origin": ORIGIN,
        }
        return f"{self.prefix}/binary_sensor/{self.gateway}/{entity}/config", _written(document)

    def _device(self) -> dict[str, Any]:
        return {"identifiers": [self.gateway], "name": self.client_id, "sw_version": __version__}


class Entities:
    """The documents of all series that `Live` has shown so far, by topic."""

    def __init__(self, announcer: Announcer) -> None:
        self.announcer = announcer
        self.documents: dict[str, bytes] = {}
        self.nodes: dict[str, Node] = {}
        """The node of each document, by topic."""
        self.withdrawn: set[str] = set()
        """The topics of documents that were replaced by others."""
        self._series: dict[int, Mapping[str, Any]] = {}
        self._topics: dict[int, str] = {}
        self._kinds: dict[int, str] = {}

    def announce_alerts(self, topics: Mapping[str, str]) -> None:
        """Announce alert rules, each with its topic."""
        for rule, state_topic in topics.items():
            topic, document = self.announcer.alert_document(rule, state_topic)
            self.documents[topic] = document
            self.nodes[topic] = Node(state_topic.rpartition("/")[0], self.announcer.client_id)

    def take(self, series: Mapping[str, Any]) -> None:
        """Add a series. A series without a topic is not published, and one without a source is not known yet."""
        if series["topic"] and series["source"]:
            self._series[series["id"]] = series
            self._describe(series["id"], series["kind"])

    def change(self, number: int, kind: str) -> None:
        """Note the kind of a new value."""
        if number in self._series:
            self._describe(number, kind)

    def _describe(self, number: int, kind: str) -> None:
        known = self._kinds.get(number, kind)
        # A series with values of two kinds is shown as text from now on; otherwise it could change again and again.
        kind = kind if known == kind else "text"
        if self._kinds.get(number) == kind:
            return
        self._kinds[number] = kind
        topic, document = self.announcer.document(self._series[number], kind)
        before = self._topics.get(number, topic)
        if before != topic:
            self.documents.pop(before, None)
            self.withdrawn.add(before)
        self._topics[number] = topic
        self.documents[topic] = document
        self.nodes[topic] = node_of(self._series[number])


def node_of(series: Mapping[str, Any]) -> Node:
    """Return the node of a series, by its tag or otherwise by its topic."""
    levels = str(series["topic"]).split("/")
    for tag in NODE_TAGS:
        # A tag may hold characters that a topic may not, and Home Assistant uses the name in MQTT.
        if name := mqtt_text(series["tags"].get(tag) or ""):
            # The same name under a different prefix is a different node.
            end = levels.index(name) + 1 if name in levels else 0
            return Node("/".join(levels[:end]) if end else f"{series['source']}/{name}", name)
    above = levels[:-1] or levels
    return Node("/".join(above), above[-1] or "/".join(above))


def node_in(document: bytes) -> Node | None:
    """Return the node of a document that a gateway wrote; None for the gateway itself, and for documents in another form."""
    try:
        read = json.loads(document)
        device, topic = read["device"], read["state_topic"]
        name, found, gateway = device["name"], device["identifiers"][0], device.get("via_device", "")
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return None
    if not all(isinstance(text, str) for text in (name, found, gateway, topic)):
        return None
    if gateway:
        return Node(found.removeprefix(f"{gateway}/"), name)
    if read.get("unique_id") == f"{found}-connection":
        return None
    place = topic.rpartition("/")[0]
    return Node(place, place.rpartition("/")[2])


def is_alert_below(prefix: str, document: bytes) -> bool:
    """Return whether a document belongs to an alert rule whose topic begins with a prefix."""
    try:
        state_topic = json.loads(document)["state_topic"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    return isinstance(state_topic, str) and state_topic.startswith(f"{prefix}/")


def _is_of_the_receiver(series: Mapping[str, Any]) -> bool:
    """Return whether a value belongs to the gateway: its profile says that the node is the receiver, and its topic names the node."""
    return bool(series["of_receiver"]) and str(series["topic"]).split("/")[-2:-1] == [series["tags"]["node"]]


def identifier(text: str, *, plain: str = "A-Za-z0-9_-") -> str:
    """Return an identifier in letters, digits, _ and -, as Home Assistant requires. Different texts give different identifiers.

    Characters that are not `plain` become hyphens. If that happens, or if a long text is cut, a fingerprint of the text is added. A topic
    with two identifiers and a prefix is short enough for MQTT.
    """
    written = re.sub(r"[^A-Za-z0-9_-]", "-", text[:LONGEST_IDENTIFIER])
    if re.fullmatch(f"[{plain}]+", text) and len(text) <= LONGEST_IDENTIFIER:
        return written
    return f"{written}-{hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}"


def entity_of(topic: str) -> str:
    """Return the identifier of a topic: its levels joined by hyphens."""
    return identifier(topic, plain="A-Za-z0-9_/")


def _name(topic: str, node: Node) -> str:
    rest = topic.removeprefix(f"{node.place}/")
    return _in_words(rest if rest != topic else topic.rpartition("/")[2]) or topic


def _in_words(levels: str, *, first: bool = True) -> str:
    words = re.split(r"[/_]+", levels)
    text = " ".join(word.upper() if word in IN_CAPITALS else word for word in words if word)
    return text[:1].upper() + text[1:] if first else text


def _written(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
