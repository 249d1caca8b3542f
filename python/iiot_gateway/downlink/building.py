"""Makes the service that takes commands from its section."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from iiot_gateway import _native
from iiot_gateway.config.wiring import source_rules
from iiot_gateway.downlink.section import DownlinkSection, commands_prefix
from iiot_gateway.downlink.service import Downlink
from iiot_gateway.mqtt.connection import broker_settings
from iiot_gateway.profile import read_profile
from iiot_gateway.sinks.mqtt.section import MqttSection
from iiot_gateway.sources.serial.section import SerialSection
from iiot_gateway.sources.serial.source import SerialSource

if TYPE_CHECKING:
    from iiot_gateway.components import Building
    from iiot_gateway.pipeline.supervisor import Service
    from iiot_gateway.sources.base import Source


def build_downlink(building: Building, sources: Sequence[Source]) -> Service:
    """Make the service. Raises MqttError for a setting that cannot be used."""
    config = building.config
    section = config.one(DownlinkSection)
    broker = config.of(MqttSection)[section.sink]
    gate = next(source for source in sources if source.name == section.source and isinstance(source, SerialSource))
    prefix = commands_prefix(config)
    side = _native.SideConnection(
        client_id=f"{broker.client_id}-downlink",
        subscriptions=[f"{prefix}/+/set/+"],
        keep_alive_s=broker.keep_alive_s,
        ack_timeout_s=broker.ack_timeout_s,
        connect_timeout_s=broker.connect_timeout_s,
        **broker_settings(config, broker),
    )
    given = source_rules(config, section.source, config.of(SerialSection)[section.source])
    # The source's profile knows which values name a node and number its packets.
    profile = read_profile(given.profile)
    return Downlink(side, gate, profile, key=bytes.fromhex(section.key.reveal()), prefix=prefix, valid_s=section.valid_s).run
