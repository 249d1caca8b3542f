"""The section `[broker]`: where the built-in broker listens, and who may connect."""

from __future__ import annotations

import ipaddress
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING

from iiot_gateway.config.component import Component, Faults, KeyPath
from iiot_gateway.config.keys import flag, path, secret, text
from iiot_gateway.config.secret import Secret

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config

EMBEDDED = "embedded"
"""The broker_url that names the broker of [broker]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSection:
    """`[broker]`: the built-in MQTT broker, which runs if an [mqtt] or [mqtt_consumer] section has broker_url = "embedded"."""

    listen: str = text("127.0.0.1:1883", "ADDRESS:PORT in numbers; 0.0.0.0 lets other machines in, with a username or allow_anonymous.")
    username: str = text("", "The user name that every client must give; empty requires none.")
    password: Secret = secret("Preferably set by IIOT_BROKER__PASSWORD or password_file.")
    password_file: str = path("", "A file that holds the password and nothing else.")
    allow_anonymous: bool = flag(False, "true also lets everybody in from other machines.")
    path: str = path("iiot-broker.db", "Where retained values of other clients are kept.")


def is_wanted(config: Config) -> bool:
    """Return whether a source or sink uses the built-in broker."""
    return any(getattr(section, "broker_url", "") == EMBEDDED for section in (*config.sinks().values(), *config.sources().values()))


def faults(config: Config, _given: AbstractSet[KeyPath]) -> Faults:
    """Yield every broken rule if the broker is used."""
    if not is_wanted(config):
        return
    broker = config.one(BrokerSection)
    host, _, port = broker.listen.rpartition(":")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        address = None
    if address is None or not port.isdigit() or not 0 < int(port) < 65536:
        yield ("broker", "listen"), "expected ADDRESS:PORT in numbers, like 127.0.0.1:1883"
    elif not (address.is_loopback or broker.username or broker.allow_anonymous):
        yield ("broker", "listen"), "other machines reach it there: set username and password, or allow_anonymous = true"
    # A file without a password is a separate fault.
    if bool(broker.username) != bool(broker.password or broker.password_file):
        yield ("broker", "username"), "username and password go together"


COMPONENT = Component(name="broker", section=BrokerSection, many=False, template="shown", faults=faults)
