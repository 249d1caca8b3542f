"""The data of a device and of a key in the registry, and the rules for names of devices."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from iiot_gateway.errors import GatewayError
from iiot_gateway.registry.keys import KeyKind

DEVICE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""The form of an id. Ids are used in topics, in rights at brokers and in URLs, so they have no characters with a meaning there."""
RESERVED_IDS = frozenset({"commands", "config", "heartbeat", "mqtt-credentials", "register", "status", "telemetry"})
"""Words that are used in URLs in the place of an id."""
MOST_TEXT = 200
"""The most characters of a name, a type, a location or a version, and of the name and value of a tag."""
MOST_TAGS = 32
MOST_LEVELS = 64
"""Of a configuration, and of the payload of a command: as of a point."""
RESERVED_TAGS = frozenset({"device_id", "device_name", "device_type", "location", "topic", "time"})
"""Names of tags that every point has."""


class DeviceState(StrEnum):
    """Whether data of a device is accepted."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    """The device is disabled: its keys and its data are refused."""
    MAINTENANCE = "maintenance"
    """Data of the device is accepted; its silence is not reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """An entry of the registry. Times are Unix seconds."""

    id: str
    name: str
    type: str
    location: str = ""
    firmware_version: str = ""
    hardware_version: str = ""
    state: DeviceState = DeviceState.ACTIVE
    tags: Mapping[str, str] = field(default_factory=dict)
    user_name: str = ""
    """A name under which the device may log in at a broker, besides its id; empty for none."""
    created_at: float = 0.0
    last_seen: float | None = None
    presence: str = ""
    """The presence that was published last: online, offline, or empty."""
    configuration: Mapping[str, Any] = field(default_factory=dict)
    configuration_version: int = 0

    def point_tags(self) -> dict[str, str]:
        """Return the tags that each point of the device gets from the registry; empty ones are left out."""
        own = {"device_id": self.id, "device_name": self.name, "device_type": self.type, "location": self.location}
        return {name: text for name, text in {**self.tags, **own}.items() if text}

    def is_enabled(self) -> bool:
        """Return whether data of the device is accepted."""
        return self.state is not DeviceState.INACTIVE


class KeyEntry(NamedTuple):
    """The data of a key in the registry, without the key itself. Times are Unix seconds."""

    id: int
    kind: KeyKind
    devices: tuple[str, ...] = ()
    """The device of a device's key, or the devices of a gateway's key; `*` means all."""
    label: str = ""
    created_at: float = 0.0
    expires_at: float | None = None
    last_used: float | None = None
    """The time of the last use, rounded to the hour, because a write per use would wear the disk."""

    def is_valid(self, now_s: float) -> bool:
        """Return whether the key has not expired."""
        return self.expires_at is None or now_s < self.expires_at

    def covers(self, device_id: str) -> bool:
        """Return whether the key may act for a device."""
        return device_id in self.devices or self.devices == ("*",)


def id_fault(device_id: str) -> str | None:
    """Return what is wrong with the id of a device."""
    if not DEVICE_ID.fullmatch(device_id):
        return f"id: found {device_id[:80]!r}, expected 1 to 64 letters, digits, - and _"
    return f"id: {device_id} is a word of the API; choose another" if device_id in RESERVED_IDS else None


def text_fault(name: str, text: str, *, may_be_empty: bool = True) -> str | None:
    """Return what is wrong with a name, a type, a location or a version."""
    if not text.strip() and not may_be_empty:
        return f"{name} is empty"
    if len(text) > MOST_TEXT:
        return f"{name} has {len(text)} characters; at most {MOST_TEXT} are allowed"
    if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in text):
        return f"{name} has a control character"
    if any(0xD800 <= ord(character) < 0xE000 for character in text):
        return f"{name} has a byte that is no UTF-8"
    return None


def tags_fault(tags: Mapping[str, str]) -> str | None:
    """Return what is wrong with the tags of a device."""
    if len(tags) > MOST_TAGS:
        return f"{len(tags)} tags are given; at most {MOST_TAGS} are allowed"
    for name, value in tags.items():
        if name in RESERVED_TAGS:
            return f"the tag {name} is given by the registry itself"
        if fault := text_fault("the name of a tag", name, may_be_empty=False) or text_fault(f"the tag {name}", value, may_be_empty=False):
            return fault
    return None


def levels_fault(name: str, document: Any) -> str | None:
    """Return a sentence that objects and lists are nested too deeply for the programs that read them later."""
    level = [document]
    for _ in range(MOST_LEVELS + 1):
        nested = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        level = [each for values in nested for each in values]
        if not nested:
            return None
    return depth_fault(name)


def depth_fault(name: str) -> str:
    """Return a sentence that objects and lists are nested more deeply than allowed."""
    return f"{name}: objects and lists are nested more than {MOST_LEVELS} deep"


def must_be_right(device: Device) -> None:
    """Raise GatewayError if the id, a text or a tag of a device is not allowed."""
    texts = {
        "name": device.name,
        "type": device.type,
        "location": device.location,
        "firmware_version": device.firmware_version,
        "hardware_version": device.hardware_version,
    }
    found = [text_fault(name, text, may_be_empty=name not in ("name", "type")) for name, text in texts.items()]
    found += [tags_fault(device.tags), id_fault(device.id) if device.id else None]
    if device.user_name and (fault := id_fault(device.user_name)):
        found.append(fault.replace("id:", "user name:"))
    if faults := [fault for fault in found if fault]:
        raise GatewayError("; ".join(faults))
