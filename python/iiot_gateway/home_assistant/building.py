"""Makes the discovery services from their section, one per broker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from iiot_gateway import _native
from iiot_gateway.config.schema import Config
from iiot_gateway.config.wiring import profile_files, profile_path
from iiot_gateway.home_assistant.discovery import Discovery, Plan
from iiot_gateway.home_assistant.entities import Announcer
from iiot_gateway.home_assistant.section import HomeAssistantSection, announced
from iiot_gateway.mqtt.connection import broker_settings
from iiot_gateway.profile import read_profile
from iiot_gateway.sinks.alerts.section import alert_topic, alert_topics
from iiot_gateway.sinks.mqtt.section import MqttSection
from iiot_gateway.sinks.mqtt.sink import MqttSink

if TYPE_CHECKING:
    from iiot_gateway.components import Building
    from iiot_gateway.pipeline.supervisor import Service
    from iiot_gateway.sinks.base import Sink


def build_discoveries(building: Building, sinks: Sequence[Sink]) -> list[Service]:
    """Make one service per broker. Raises MqttError for a setting that cannot be used."""
    config = building.config
    section = config.one(HomeAssistantSection)
    profiles = {source: read_profile(path).name for source, path in profile_files(config).items()}
    # A recording has no section; it uses the profile of [gateway].
    other = read_profile(profile_path(config.base, config.gateway.profile)).name
    by_name = {sink.name: sink for sink in sinks if isinstance(sink, MqttSink)}

    def discovery(name: str, mqtt: MqttSection) -> Discovery:
        sink = by_name[name]
        plan = Plan(
            sink=name,
            announcer=announcer(config, mqtt),
            home_status_topic=section.status_topic,
            retired=section.retired,
            alerts=alert_topics(config, mqtt.topic_prefix),
            alerts_prefix=alert_topic(mqtt.topic_prefix, "").rstrip("/"),
            takes=lambda source: not mqtt.profiles or profiles.get(source, other) in mqtt.profiles,
            publishes_to=sink.publishes_to,
            is_connected=lambda: sink.status.state == "connected",
        )
        side = _native.SideConnection(
            client_id=f"{mqtt.client_id}-discovery",
            subscriptions=plan.subscriptions(),
            keep_alive_s=mqtt.keep_alive_s,
            ack_timeout_s=mqtt.ack_timeout_s,
            connect_timeout_s=mqtt.connect_timeout_s,
            **broker_settings(config, mqtt),
        )
        return Discovery(plan, side)

    return [discovery(name, mqtt) for name, mqtt in announced(config).items()]


def announcer(config: Config, mqtt: MqttSection) -> Announcer:
    """Return the object that writes the documents for a broker."""
    section = config.one(HomeAssistantSection)
    return Announcer(
        prefix=section.discovery_prefix,
        client_id=mqtt.client_id,
        status_topic=f"{mqtt.topic_prefix}/gateway/status",
        expire_after_s=section.expire_after_s,
    )
