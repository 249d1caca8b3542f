"""The section `[devices]`: devices that register themselves, and send over HTTP or MQTT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from iiot_gateway.config.component import SourceSection
from iiot_gateway.config.keys import DAY_S, YEAR_S, integer, number, path, tags, text
from iiot_gateway.sinks.postgresql.section import PostgresqlSection

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config

PROFILE = "iotflow"
POINT_TOPIC = "$api/point"
TELEMETRY_TOPIC = "$api/telemetry"
STATUS_TOPIC = "$api/status"
"""Topics by which the profile distinguishes posts from messages of a broker: nobody can publish under `$`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicesSection(SourceSection):
    """`[devices]`: a registry of devices, and the calls by which they register and send."""

    path: str = path("iiot-devices.db", "The registry's file.")
    database: Literal["sqlite", "postgresql"] = text(
        "sqlite",
        "Where the registry is: in the file of path, or in PostgreSQL, which several gateways may share.",
        "sqlite",
        "postgresql",
    )
    database_section: str = text(
        "postgresql", 'With database = "postgresql": the section that names the server, such as postgresql or postgresql.plant.'
    )
    database_schema: str = text("iiot_registry", "The schema of the registry's tables there; each registry needs its own.")
    registration: Literal["key", "open", "closed"] = text(
        "key",
        "Who may register a device over HTTP: holders of a registration key; anybody (open); or only administrators (closed).",
        "key",
        "open",
        "closed",
    )
    unknown: Literal["reject", "take"] = text(
        "reject", "How MQTT messages of devices that are not in the registry are handled.", "reject", "take"
    )
    mosquitto: str = text(
        "",
        "The section, such as mqtt, whose broker is a Mosquitto with dynamic security: each device gets an account there.",
    )
    profile: str = text(PROFILE, "Built-in profile by name, or a path to a .toml file.")
    topics: str = text("iotflow/devices", "The devices' topics are below it: ID/telemetry/TYPE, ID/status/TYPE and ID/commands/TYPE.")
    topic_prefix: str = text("", "Prefix of the values' topics; empty takes that of [gateway].")
    tags: Mapping[str, str] = tags("Tags on every point; they override those of [gateway].")
    dedup_window_s: float = number(
        3600.0, "A message of one device with equal time and content within this window is a duplicate. 0 keeps all.", low=0, high=YEAR_S
    )
    message_id_window_s: float = number(900.0, "How long a message_id is remembered.", low=1, high=DAY_S)
    max_message_ids: int = integer(
        2_000_000, "The most message ids that are remembered at once; messages with further ones are refused.", low=1000, high=20_000_000
    )
    max_document_bytes: int = integer(65536, "A longer point is refused.", low=64, high=16777216)
    max_body_bytes: int = integer(4_194_304, "A longer body of a request is refused.", low=1024, high=268_435_456)
    max_points: int = integer(5000, "The most points or lines of one request.", low=1, high=100_000)
    max_fields: int = integer(256, "The most fields and tags of one point.", low=1, high=4096)
    requests_per_minute: int = integer(1200, "Requests that send or change data, per key. 0 is without limit.", low=0, high=10_000_000)
    points_per_minute: int = integer(120_000, "Points, per key. 0 is without limit.", low=0, high=1_000_000_000)
    address_requests_per_minute: int = integer(60_000, "Requests, per address. 0 is without limit.", low=0, high=10_000_000)
    registrations_per_minute: int = integer(10, "Registrations, per address. 0 is without limit.", low=0, high=1_000_000)
    max_devices: int = integer(
        10_000,
        "Registration over HTTP is refused once the registry has this many devices; the command line can add more. 0 is without limit.",
        low=0,
        high=10_000_000,
    )
    key_overlap_s: float = number(DAY_S, "How long the old key of a device stays valid once the device has a new one.", low=0, high=YEAR_S)
    silence_s: float = number(900.0, "A device that is silent for longer is offline.", low=1, high=YEAR_S)


def registry_path(config: Config) -> str | None:
    """Return the registry's file; None without [devices], or if the registry is on a server."""
    found = (str(config.base / section.path) for section in config.of(DevicesSection).values() if section.database == "sqlite")
    return next(found, None)


def server_section(config: Config) -> tuple[str, PostgresqlSection] | None:
    """Return the section of the server that has the registry, and its name; None if no server has it."""
    for section in config.of(DevicesSection).values():
        if section.database == "postgresql" and (server := config.of(PostgresqlSection).get(section.database_section)):
            return section.database_section, server
    return None


def is_asked_by_devices(config: Config) -> bool:
    """Return whether the HTTP server serves the device API."""
    return bool(config.of(DevicesSection))
