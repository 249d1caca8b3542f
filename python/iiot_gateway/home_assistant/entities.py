"""Discovery documents: from the series that the gateway publishes to what Home Assistant is told of them. Pure.

PREFIX/sensor/GATEWAY/ENTITY/config          a number or a text
PREFIX/binary_sensor/GATEWAY/ENTITY/config   true and false
PREFIX/binary_sensor/GATEWAY/gateway/config  the gateway itself: is it there
PREFIX/binary_sensor/GATEWAY/alert-RULE/config  whether alerts of a rule hold

GATEWAY comes from the client id and ENTITY from the topic, both in the characters that Home Assistant takes there, so that a gateway
finds its own documents on the broker with one subscription, and meets no others.
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
"""The tags that name what a value comes from, the first one first; without them it is the level above the topic's last."""
IN_CAPITALS = {"rssi", "snr", "crc", "co2", "id", "uid", "voc", "iaq"}
ORIGIN = {"name": "iiot-gateway", "sw_version": __version__}
ONLINE, OFFLINE = "online", "offline"
LONGEST_IDENTIFIER = 1000


@dataclass(frozen=True, slots=True)
class Node:
    """A device: `place` is its own, `name` is what people call it."""

    place: str
    name: str

    def is_called(self, name: str) -> bool:
        """Tell whether somebody who says `name` means this node."""
        return name in (self.name, self.place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcer:
    """Writes the documents of one gateway at one broker."""

    prefix: str
    """The discovery prefix."""
    client_id: str
    status_topic: str
    """Where the gateway says online and offline."""
    expire_after_s: int = 0

    @property
    def gateway(self) -> str:
        """The gateway's own level of the topics, and its identifier as a device."""
        return identifier(self.client_id)

    def own_documents(self) -> str:
        """Return the filter that takes every document of this gateway and no other."""
        return f"{self.prefix}/+/{self.gateway}/+/config"

    def gateway_document(self) -> tuple[str, bytes]:
        """Return topic and document of the gateway itself."""
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
        """Return topic and document of a series with a topic, as `Live` describes it; `kind` is number, bool or text."""
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
        """Return topic and document of a rule of alerts, whose state is told on a topic."""
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
    """The documents of everything that `Live` has shown so far, by their topic."""

    def __init__(self, announcer: Announcer) -> None:
        self.announcer = announcer
        self.documents: dict[str, bytes] = {}
        self.nodes: dict[str, Node] = {}
        """Of each document."""
        self.withdrawn: set[str] = set()
        """Documents that another one has taken the place of."""
        self._series: dict[int, Mapping[str, Any]] = {}
        self._topics: dict[int, str] = {}
        self._kinds: dict[int, str] = {}

    def announce_alerts(self, topics: Mapping[str, str]) -> None:
        """Announce rules of alerts, each with its topic."""
        for rule, state_topic in topics.items():
            topic, document = self.announcer.alert_document(rule, state_topic)
            self.documents[topic] = document
            self.nodes[topic] = Node(state_topic.rpartition("/")[0], self.announcer.client_id)

    def take(self, series: Mapping[str, Any]) -> None:
        """Take a series that became known. One without a topic is not published, and one without a source is not known yet."""
        if series["topic"] and series["source"]:
            self._series[series["id"]] = series
            self._describe(series["id"], series["kind"])

    def change(self, number: int, kind: str) -> None:
        """Take note of the kind of a new value."""
        if number in self._series:
            self._describe(number, kind)

    def _describe(self, number: int, kind: str) -> None:
        known = self._kinds.get(number, kind)
        # What was of two kinds is shown as text from then on; it would change for ever else.
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
    """Return the node that a series comes from: by its tag, else by its topic."""
    levels = str(series["topic"]).split("/")
    for tag in NODE_TAGS:
        # Tags may hold what topics may not; Home Assistant makes names of it for its own part of MQTT.
        if name := mqtt_text(series["tags"].get(tag) or ""):
            # The same name under another prefix is another node.
            end = levels.index(name) + 1 if name in levels else 0
            return Node("/".join(levels[:end]) if end else f"{series['source']}/{name}", name)
    above = levels[:-1] or levels
    return Node("/".join(above), above[-1] or "/".join(above))


def node_in(document: bytes) -> Node | None:
    """Return the node that a document of ours tells of; None for the gateway itself, and for what we cannot have written."""
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
    """Tell whether a document of ours is of a rule whose topic stands below a prefix."""
    try:
        state_topic = json.loads(document)["state_topic"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    return isinstance(state_topic, str) and state_topic.startswith(f"{prefix}/")


def _is_of_the_receiver(series: Mapping[str, Any]) -> bool:
    """Tell whether a value goes with the gateway: the profile says that its node is the receiver, and its topic names that node."""
    return bool(series["of_receiver"]) and str(series["topic"]).split("/")[-2:-1] == [series["tags"]["node"]]


def identifier(text: str, *, plain: str = "A-Za-z0-9_-") -> str:
    """Write a text in letters, digits, _ and -, as Home Assistant wants it; two texts with the same `plain` give two identifiers.

    Characters that are not `plain` become hyphens, and a fingerprint then tells the text from others; so does one that is cut. A topic with
    two of them and a prefix is short enough for MQTT.
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
