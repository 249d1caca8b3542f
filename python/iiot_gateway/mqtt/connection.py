"""The keys for the connection that every section with a broker has, and their rules."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from iiot_gateway._native import mqtt_text_fault
from iiot_gateway.config.component import Faults, KeyPath, PublishingSection, place
from iiot_gateway.config.secret import Secret
from iiot_gateway.config.urls import url_faults
from iiot_gateway.config.wiring import profile_name, source_rules
from iiot_gateway.mqtt.broker import EMBEDDED, BrokerSection

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config

MAX_BYTES = 65535
MAX_CLIENT_ID_BYTES = MAX_BYTES - len("-discovery")
"""A side connection has the sink's client id with a suffix."""


@runtime_checkable
class Connection(Protocol):
    """A section that names a broker."""

    @property
    def broker_url(self) -> str:
        """The broker, or EMBEDDED."""

    @property
    def client_id(self) -> str:
        """The client id; empty makes one."""

    @property
    def protocol(self) -> str:
        """The version of MQTT."""

    @property
    def username(self) -> str:
        """The user name; empty connects without one."""

    @property
    def password(self) -> Secret:
        """The password."""

    @property
    def ca_file(self) -> str:
        """The certificates with which the broker's certificate is checked."""

    @property
    def client_cert_file(self) -> str:
        """The gateway's own certificate."""

    @property
    def client_key_file(self) -> str:
        """The key of that certificate."""


def connections(config: Config) -> dict[str, Connection]:
    """Return every section that names a broker: sinks, then sources."""
    sections = {**config.sinks(), **config.sources()}
    return {name: section for name, section in sections.items() if isinstance(section, Connection)}


def embedded_clients(config: Config) -> list[str]:
    """Return the client id of every sink that publishes to the built-in broker."""
    found = (section for name, section in connections(config).items() if isinstance(section, PublishingSection))
    return [section.client_id for section in found if section.broker_url == EMBEDDED]


def broker_access(config: Config, section: Connection) -> tuple[str, str, str]:
    """Return the URL of a section's broker, the user name and the password."""
    if section.broker_url != EMBEDDED:
        return section.broker_url, section.username, section.password.reveal()
    broker = config.one(BrokerSection)
    host, _, port = broker.listen.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104 - nothing listens here
    return f"mqtt://{host}:{port}", broker.username, broker.password.reveal()


def broker_settings(config: Config, section: Connection) -> dict[str, Any]:
    """Return the keyword arguments for every connection to this broker."""
    url, username, password = broker_access(config, section)
    return {
        "broker_url": url,
        "protocol": section.protocol,
        "username": username or None,
        "password": password or None,
        "ca_file": section.ca_file or None,
        "client_cert_file": section.client_cert_file or None,
        "client_key_file": section.client_key_file or None,
    }


def value_prefixes(config: Config, section: PublishingSection) -> list[str]:
    """Return the prefixes of the values that a broker gets: those of its sources, or that of `replay` if there is no source."""
    sources = [source_rules(config, name, source) for name, source in config.sources().items()]
    taken = [source for source in sources if not section.profiles or profile_name(source.profile) in section.profiles]
    return list(dict.fromkeys(source.topic_prefix for source in taken)) or [config.topic_prefix()]


def own_prefixes(config: Config, broker_url: str) -> list[tuple[str, str]]:
    """Return the prefixes below which the gateway publishes to a broker, each with the name of the section that publishes."""
    found = (pair for component in config.components for pair in component.publishes_below(config, broker_url))
    return list(dict.fromkeys(found))


def client_faults(config: Config) -> Faults:
    """Find clients of one broker with the same client id."""
    seen: dict[tuple[str, str], str] = {}
    for name, mqtt in connections(config).items():
        if not mqtt.client_id:
            continue
        client = (mqtt.broker_url, mqtt.client_id)
        if client in seen:
            yield (
                (*place(name), "client_id"),
                f"the same as that of [{seen[client]}] on the same broker; they would throw each other out",
            )
        seen.setdefault(client, name)


def connection_faults(path: KeyPath, mqtt: Connection) -> Faults:
    """Yield the faults in a section's broker and connection."""
    if mqtt.broker_url == EMBEDDED:
        for key in ("username", "password"):
            if getattr(mqtt, key):
                yield (*path, key), f"stands in [broker] when broker_url is {EMBEDDED!r}"
    else:
        yield from url_faults((*path, "broker_url"), mqtt.broker_url, ("mqtt", "mqtts"))
    if bool(mqtt.client_cert_file) != bool(mqtt.client_key_file):
        yield (*path, "client_cert_file"), "client_cert_file and client_key_file go together"
    if mqtt.password and not mqtt.username:
        variable = f"IIOT_{'__'.join(path).upper()}__PASSWORD"
        yield (*path, "username"), f"is needed beside a password, which may also come from {variable} of the environment"
    for key in ("ca_file", "client_cert_file", "client_key_file"):
        file = getattr(mqtt, key)
        if file and not mqtt.broker_url.startswith("mqtts:"):
            yield (*path, key), "has no meaning without mqtts://"
        elif file and not Path(file).is_file():
            yield (*path, key), f"there is no file {file}"


def connection_notes(config: Config) -> Iterator[str]:
    """Yield a sentence on each connection with a user name but no password or certificate."""
    for name, section in connections(config).items():
        if section.username and not section.password and not section.client_cert_file:
            variable = f"IIOT_{'__'.join(place(name)).upper()}__PASSWORD"
            yield (
                f"[{name}] gives the user name {section.username!r} without a password, which most brokers refuse: "
                f"set password_file or {variable}"
            )


def text_faults(config: Config) -> Faults:
    """Yield client ids, user names and passwords that MQTT does not allow."""
    for name, section in connections(config).items():
        path = place(name)
        if fault := mqtt_text_fault(section.client_id, max_bytes=MAX_CLIENT_ID_BYTES):
            yield (*path, "client_id"), fault
        yield from _credentials(path, section.username, section.password)
    if embedded_clients(config):
        broker = config.one(BrokerSection)
        yield from _credentials(("broker",), broker.username, broker.password)


def _credentials(path: KeyPath, username: str, password: Secret) -> Faults:
    if fault := mqtt_text_fault(username):
        yield (*path, "username"), fault
    # A password may hold any bytes, but not more of them than a text.
    if len(password.reveal().encode()) > MAX_BYTES:
        yield (*path, "password"), f"is longer than {MAX_BYTES} bytes"
