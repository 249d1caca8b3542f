"""The section `[devices]`: devices that register themselves, and send over HTTP or MQTT."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from iiot_gateway.components import MessageSource
from iiot_gateway.config.component import Faults, KeyPath, SourceSection
from iiot_gateway.config.keys import DAY_S, YEAR_S, integer, number, path, tags, text
from iiot_gateway.config.urls import is_loopback, listen_host
from iiot_gateway.errors import GatewayError
from iiot_gateway.mqtt.broker import EMBEDDED, BrokerSection, is_wanted
from iiot_gateway.mqtt.connection import connections
from iiot_gateway.sinks.postgresql.section import PostgresqlSection

if TYPE_CHECKING:
    from iiot_gateway.components import Building
    from iiot_gateway.config.schema import Config
    from iiot_gateway.findings import Finding, Running
    from iiot_gateway.sources.base import Source
    from iiot_gateway.sources.recording import MessageWriter

PROFILE = "iotflow"


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


def faults(config: Config, _given: AbstractSet[KeyPath]) -> Faults:
    """Yield every broken rule."""
    for section in config.of(DevicesSection).values():
        if not config.http.enabled:
            yield ("devices",), "devices need the HTTP server: take http.enabled = false out"
        if not section.path:
            yield ("devices", "path"), "must not be empty"
        if section.database == "postgresql":
            yield from _server_faults(config, section)
        if section.mosquitto:
            yield from _mosquitto_faults(config, section)
        if not section.topics or any(sign in section.topics for sign in "+#$") or section.topics.strip("/") != section.topics:
            yield ("devices", "topics"), "expected the beginning of a topic, like iotflow/devices"


def _server_faults(config: Config, section: DevicesSection) -> Faults:
    servers = config.of(PostgresqlSection)
    if section.database_section not in servers:
        known = ", ".join(servers) or "none is there"
        yield ("devices", "database_section"), f"there is no section [{section.database_section}]; expected one of: {known}"
        return
    from iiot_gateway.registry.server_schema import schema_fault

    if fault := schema_fault(config):
        yield ("devices", "database_schema"), fault


def _mosquitto_faults(config: Config, section: DevicesSection) -> Faults:
    brokers = connections(config)
    broker = brokers.get(section.mosquitto)
    path = ("devices", "mosquitto")
    if broker is None:
        known = ", ".join(name for name, each in brokers.items() if each.broker_url != EMBEDDED)
        yield path, f"there is no section [{section.mosquitto}] with a broker; expected one of: {known or 'none is there'}"
    elif broker.broker_url == EMBEDDED:
        yield path, "the built-in broker needs no accounts: devices log in there with their keys anyway"
    elif not broker.username:
        yield path, f"[{section.mosquitto}] needs a username that may administrate the broker's dynamic security"


def notes(config: Config) -> Iterator[str]:
    """Report settings with which devices could not log in, or others could."""
    # Not above: it knows this section.
    from iiot_gateway.registry.brokers import account_notes

    for _section in config.of(DevicesSection).values():
        yield from _broker_notes(config)
        yield from account_notes(config)
        http = config.http
        if http.plaintext == "allow" and not is_loopback(listen_host(http.listen)):
            yield "[devices] http.plaintext is allow: whoever is on the way reads the keys and the data of devices"
        if not is_loopback(listen_host(http.listen)) and not (http.tls_cert_file or http.behind_proxy or http.plaintext == "allow"):
            yield (
                f"[devices] other machines reach {http.listen}, so calls that write are refused there: set http.tls_cert_file and "
                'http.tls_key_file, or http.behind_proxy = true, or http.plaintext = "allow" on a trusted network'
            )


def _broker_notes(config: Config) -> Iterator[str]:
    """Report brokers at which anybody may publish for any device."""
    if is_wanted(config) and not config.one(BrokerSection).username:
        yield (
            "[broker] asks nobody for a password, so whoever reaches it may publish for every device: set username and password, "
            "and devices log in with their keys"
        )


def _doctor(config: Config, running: Running) -> Iterator[Finding]:
    from iiot_gateway.device_accounts.doctor import plug_in

    if server_section(config) is not None:
        from iiot_gateway.registry.doctor import registry

        yield registry(config)
    yield from plug_in(config, running)


def is_asked_by_devices(config: Config) -> bool:
    """Return whether the HTTP server serves the device API."""
    return bool(config.of(DevicesSection))


def build(building: Building, name: str, section: DevicesSection) -> Source:
    """Make the source."""
    from iiot_gateway.device_api.building import device_source

    return device_source(building, name, section)


def record(_config: Config, _name: str, _section: DevicesSection, _writer: MessageWriter) -> Source:
    """Refuse: there is nothing to listen to while the gateway does not run."""
    raise GatewayError("what devices post comes only while the gateway runs, so `record` cannot listen to it: name another source")


COMPONENT = MessageSource(
    name="devices",
    section=DevicesSection,
    many=False,
    is_on_alone=True,
    faults=faults,
    notes=notes,
    build=build,
    record=record,
    doctor=_doctor,
)
