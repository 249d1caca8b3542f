"""The section `[downlink]`: the port through which commands are sent, and the broker on which they are requested."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING

from iiot_gateway.config.component import Faults, KeyPath
from iiot_gateway.config.keys import integer, path, secret, text
from iiot_gateway.config.nearest import nearest_name
from iiot_gateway.config.secret import Secret
from iiot_gateway.config.wiring import source_rules
from iiot_gateway.sinks.mqtt.section import MqttSection
from iiot_gateway.sources.serial.section import SerialSection

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config

KEY = re.compile(r"[0-9A-Fa-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DownlinkSection:
    """`[downlink]`: commands from PREFIX/NODE/set/NAME to sensor nodes. A key turns it on."""

    key: Secret = secret(
        "The nodes' key, 32 hexadecimal digits (IIOT_NODE_KEY of their build). Preferably set by IIOT_DOWNLINK__KEY or key_file."
    )
    key_file: str = path("", "A file that holds the key and nothing else.")
    source: str = text("serial", "The serial source to which the gateway node is connected.")
    sink: str = text("mqtt", "The section of the broker at which commands are requested.")
    valid_s: int = integer(120, "A command that could not be sent within this many seconds expires.", low=1, high=3600)


def faults(config: Config, _given: AbstractSet[KeyPath]) -> Faults:
    """Yield every broken rule if commands are enabled."""
    downlink, ports, brokers = config.one(DownlinkSection), config.of(SerialSection), config.of(MqttSection)
    if not downlink.key:
        return
    if not KEY.fullmatch(downlink.key.reveal()):
        yield ("downlink", "key"), "expected 32 hexadecimal digits"
    if downlink.source not in ports:
        yield ("downlink", "source"), f"there is no serial source {downlink.source!r}{nearest_name(downlink.source, sorted(ports))}"
    if downlink.sink not in brokers:
        yield ("downlink", "sink"), f"there is no broker {downlink.sink!r}{nearest_name(downlink.sink, sorted(brokers))}"


def commands_prefix(config: Config) -> str:
    """Return the prefix of the topics on which commands are requested and answered."""
    source = config.one(DownlinkSection).source
    return source_rules(config, source, config.of(SerialSection)[source]).topic_prefix
