"""The source of devices, `[devices]`, and its HTTP interface under `/api/v1/`: they register and send, and their data can be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

from iiot_gateway.components import MessageSource
from iiot_gateway.config.component import Faults, KeyPath
from iiot_gateway.config.urls import is_loopback, listen_host
from iiot_gateway.errors import GatewayError
from iiot_gateway.mqtt.broker import EMBEDDED, BrokerSection, is_wanted
from iiot_gateway.mqtt.connection import connections
from iiot_gateway.registry.section import DevicesSection, server_section
from iiot_gateway.sinks.postgresql.section import PostgresqlSection

if TYPE_CHECKING:
    from iiot_gateway.components import Building
    from iiot_gateway.config.schema import Config
    from iiot_gateway.findings import Finding, Running
    from iiot_gateway.sources.base import Source
    from iiot_gateway.sources.recording import MessageWriter


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
    for _section in config.of(DevicesSection).values():
        # Not above: gateways without [devices] do not need it.
        from iiot_gateway.device_mqtt.brokers import account_notes

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


def build(building: Building, name: str, section: DevicesSection) -> Source:
    """Make the source."""
    from iiot_gateway.device_api.building import device_source

    return device_source(building, name, section)


def device_logins(building: Building) -> Mapping[str, Any]:
    """Return the settings with which registered devices may log in at the built-in broker. Raises RegistryUnusable."""
    from iiot_gateway.registry.directory import directory_of

    return {"devices": directory_of(building), "device_prefix": building.config.one(DevicesSection).topics}


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
    device_logins=device_logins,
    doctor=_doctor,
)
