"""The results of an import: sections of the gateway's configuration, points of its profiles, and files with secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from iiot_gateway.config.secret import Secret
from iiot_gateway.telegraf import environment
from iiot_gateway.telegraf.section import Section

PROFILE = "telegraf"
HOST_TAG = "host"
"""The tag in which Telegraf's agent writes the name of its machine."""


@dataclass(slots=True)
class Point:
    """A point of a profile."""

    filters: list[str]
    measurement: str
    tags: dict[str, str]
    except_filters: list[str] = field(default_factory=list)
    each: str = ""
    time: dict[str, Any] = field(default_factory=dict)
    others: dict[str, Any] | None = None
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Part:
    """A section of the configuration."""

    name: str
    keys: dict[str, Any] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def remark(self, text: str) -> None:
        """Add a comment to the section, once."""
        if text not in self.remarks:
            self.remarks.append(text)


@dataclass(slots=True)
class Consumer(Part):
    """A source, with the points of its profile."""

    profile: str = PROFILE
    subscriptions: list[tuple[str, int]] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)


@dataclass(slots=True)
class Made:
    """The result of all files together."""

    tags: dict[str, str] = field(default_factory=dict)
    consumers: dict[tuple[Any, ...], Consumer] = field(default_factory=dict)
    sinks: list[Part] = field(default_factory=list)
    secrets: dict[str, Secret] = field(default_factory=dict)
    """The secrets, by the name of the file for each."""
    wants_host: bool = False
    """Whether a plugin keeps the tag with the name of the machine on its points."""
    topic_prefix: str = ""
    """The prefix of published values, if there are any."""
    retain: bool = False
    """Whether published values are retained."""

    def consumer(self, connection: Mapping[str, Any], password: Any) -> Consumer:
        """Return the source with this connection, or a new source."""
        key = (tuple(sorted(connection.items())), str(password))
        if key not in self.consumers:
            number = len(self.consumers) + 1
            behind = f"_{number}" if number > 1 else ""
            name = "mqtt_consumer" if number == 1 else f"mqtt_consumer.{PROFILE}{behind}"
            self.consumers[key] = Consumer(name, dict(connection), profile=f"{PROFILE}{behind}")
        return self.consumers[key]

    def forget(self, consumer: Consumer) -> None:
        """Remove a source if it has no subscription."""
        if not consumer.subscriptions:
            self.consumers = {key: known for key, known in self.consumers.items() if known is not consumer}

    def sink(self, kind: str) -> Part:
        """Add the section of a sink."""
        number = sum(part.name.partition(".")[0] == kind for part in self.sinks) + 1
        part = Part(kind if number == 1 else f"{kind}.{PROFILE}_{number}")
        self.sinks.append(part)
        return part

    def secret(self, section: Section, key: str, part: Part, to: str, text: str | None = None) -> None:
        """Put a secret into a file of its own, or refer to the environment, and report that. `text` replaces the value in the file."""
        value = section.raw(key)
        file_key = f"{to}_file"
        if not isinstance(value, str):
            return
        variable = "IIOT_" + "__".join([*part.name.split("."), to]).upper()
        if environment.stored(value):
            section.left_out(key, f"it stands in one of Telegraf's secret stores: put it into a file and set {file_key} of [{part.name}]")
            part.remark(f"{to}: set {file_key}, or {variable} in the environment")
        elif names := environment.names(value):
            listed = ", ".join(f"${name}" for name in names)
            is_whole = environment.REFERENCE.fullmatch(value) or environment.BARE.fullmatch(value)
            around = "" if is_whole else ", with what stands around it there"
            section.differs(key, f"{variable} of the environment must hold what {listed} holds for Telegraf{around}")
            part.remark(f"{to}: {variable} in the environment")
        elif value.strip():
            file = f"{part.name}.{to}"
            self.secrets[file] = Secret(text if text is not None else value)
            part.keys[file_key] = file
            section.taken(key, f"{file_key} of [{part.name}]: the file {file}, which only its owner can read")
        else:
            section.taken(key, "empty here as there")


def literal(text: str) -> str:
    """Escape a text for a template, so that it has no placeholders."""
    return text.replace("{", "_").replace("}", "_")
