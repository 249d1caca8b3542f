"""Home Assistant's MQTT discovery: every metric that is published becomes a sensor there, every node a device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from iiot_gateway.components import ServiceComponent
from iiot_gateway.home_assistant.section import HomeAssistantSection, announced, faults, looks_at_values, publishes_below
from iiot_gateway.sinks.mqtt.section import MqttSection

if TYPE_CHECKING:
    from iiot_gateway.components import Building
    from iiot_gateway.config.schema import Config
    from iiot_gateway.pipeline.supervisor import Service
    from iiot_gateway.sinks.base import Sink
    from iiot_gateway.sources.base import Source


def build(building: Building, _sources: Sequence[Source], sinks: Sequence[Sink]) -> Sequence[Service]:
    """Make one service per broker at which metrics are announced."""
    if not building.config.one(HomeAssistantSection).discovery:
        return ()
    from iiot_gateway.home_assistant.building import build_discoveries

    return build_discoveries(building, sinks)


def trials(config: Config, sink: str) -> Iterator[tuple[str, str, str]]:
    """Yield the topic that `doctor` tries at a broker at which metrics are announced."""
    if sink in announced(config):
        from iiot_gateway.home_assistant.entities import identifier

        # The topic does not end in /config, so Home Assistant ignores it.
        own, prefix = identifier(config.of(MqttSection)[sink].client_id), config.one(HomeAssistantSection).discovery_prefix
        yield "discovery", f"{prefix}/sensor/{own}/doctor", f"{prefix}/+/{own}/#"


def own_topics(building: Building, broker_url: str) -> Iterable[str]:
    """Return the filters of the documents at a broker."""
    there = [section for section in announced(building.config).values() if section.broker_url == broker_url]
    if not there:
        return ()
    from iiot_gateway.home_assistant.building import announcer

    return [announcer(building.config, section).own_documents() for section in there]


COMPONENT = ServiceComponent(
    name="home_assistant",
    section=HomeAssistantSection,
    many=False,
    template="shown",
    faults=faults,
    publishes_below=publishes_below,
    build=build,
    own_topics=own_topics,
    looks_at_values=looks_at_values,
    trials=trials,
)
