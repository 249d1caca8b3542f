"""Commands to sensor nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from iiot_gateway.components import ServiceComponent
from iiot_gateway.downlink.section import DownlinkSection, commands_prefix, faults
from iiot_gateway.sinks.mqtt.section import MqttSection

if TYPE_CHECKING:
    from iiot_gateway.components import Building
    from iiot_gateway.pipeline.supervisor import Service
    from iiot_gateway.sinks.base import Sink
    from iiot_gateway.sources.base import Source


def build(building: Building, sources: Sequence[Source], _sinks: Sequence[Sink]) -> Sequence[Service]:
    """Make the service that takes commands, if there is a key."""
    if not _takes_commands(building):
        return ()
    from iiot_gateway.downlink.building import build_downlink

    return [build_downlink(building, sources)]


def own_topics(building: Building, broker_url: str) -> Iterable[str]:
    """Return the filters of commands and answers at the broker on which commands are requested."""
    if not _takes_commands(building) or building.config.of(MqttSection)[building.config.one(DownlinkSection).sink].broker_url != broker_url:
        return ()
    prefix = commands_prefix(building.config)
    return (f"{prefix}/+/set/#", f"{prefix}/+/state/#")


def _takes_commands(building: Building) -> bool:
    return bool(building.config.one(DownlinkSection).key) and not building.is_replay


COMPONENT = ServiceComponent(
    name="downlink", section=DownlinkSection, many=False, template="absent", faults=faults, build=build, own_topics=own_topics
)
