"""Makes an MQTT sink from its section."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iiot_gateway import _native
from iiot_gateway.mqtt.broker import EMBEDDED
from iiot_gateway.mqtt.connection import broker_settings
from iiot_gateway.sinks.mqtt.section import MqttSection
from iiot_gateway.sinks.mqtt.sink import MqttSink

if TYPE_CHECKING:
    from iiot_gateway.components import Building


def build_sink(building: Building, name: str, section: MqttSection) -> MqttSink:
    """Make a sink, and the built-in broker if the sink publishes to it. Raises MqttError for a setting that cannot be used."""
    embedded = None
    if section.broker_url == EMBEDDED:
        # Imported only when needed: each imported module stays in memory for months.
        from iiot_gateway.mqtt.embedded import built_in_broker

        embedded = built_in_broker(building)
    native = _native.MqttSink(
        building.journal,
        name,
        client_id=section.client_id,
        availability_topic=f"{section.topic_prefix}/gateway/status",
        health_topic=f"{section.topic_prefix}/gateway/health",
        own_topics=own_topics(building, section.broker_url),
        qos=section.qos,
        backlog=section.backlog,
        keep_alive_s=section.keep_alive_s,
        ack_timeout_s=section.ack_timeout_s,
        connect_timeout_s=section.connect_timeout_s,
        inflight=section.inflight,
        max_topics=section.max_topics,
        **broker_settings(building.config, section),
    )
    sink = MqttSink(name, section, native, embedded=embedded)
    sink.health = building.health
    return sink


def own_topics(building: Building, broker_url: str) -> list[str]:
    """Return the filters of the gateway's own topics at a broker. No value is published to them."""
    # Another section may name the same broker.
    there = [section for section in building.config.of(MqttSection).values() if section.broker_url == broker_url]
    own = [f"{section.topic_prefix}/gateway/#" for section in there]
    return list(dict.fromkeys([*own, *building.own_topics(broker_url)]))
