"""Makes consumers from their sections: for a broker, for the built-in one, and for `record`."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from iiot_gateway import _native
from iiot_gateway.errors import GatewayError, SettingUnusable
from iiot_gateway.mqtt.broker import EMBEDDED
from iiot_gateway.mqtt.connection import broker_settings
from iiot_gateway.mqtt.embedded import built_in_broker
from iiot_gateway.registry.section import is_asked_by_devices
from iiot_gateway.sources.base import Source
from iiot_gateway.sources.mqtt_consumer.source import MqttConsumerSource, RecordedConsumer

if TYPE_CHECKING:
    from iiot_gateway.components import Building
    from iiot_gateway.config.schema import Config
    from iiot_gateway.sources.mqtt_consumer.section import MqttConsumerSection
    from iiot_gateway.sources.recording import MessageWriter


SHARED_RECEIVE_MAXIMUM = 250
MOST_UNDER_WAY = 65_535


def build_consumer(building: Building, name: str, section: MqttConsumerSection) -> Source:
    """Make a consumer. Raises MqttError for a setting that cannot be used."""
    journal = building.journal
    settings = building.source_rules(name)
    del settings["rtt_channel"]
    settings["waits"] = section.when_full == "pause"
    settings["devices"] = _devices(building)
    if section.broker_url == EMBEDDED:
        from iiot_gateway.sources.mqtt_consumer.embedded import EmbeddedConsumerSource

        broker = built_in_broker(building)
        taken = _native.BrokerConsumer(journal, name, filters=[topic.filter for topic in section.topics], **settings)
        broker.consume(name, taken)
        return EmbeddedConsumerSource(name, section, taken, broker)
    native = _native.MqttConsumer(
        journal,
        name,
        client_id=section.client_id or f"iiot-gateway-{journal.id[:12]}-{name.replace('.', '-')}",
        subscriptions=subscriptions(section),
        retained=section.retained,
        redelivery=section.redelivery,
        session_expiry_s=section.session_expiry_s,
        keep_alive_s=section.keep_alive_s,
        ack_timeout_s=section.ack_timeout_s,
        connect_timeout_s=section.connect_timeout_s,
        receive_maximum=section.receive_maximum or (SHARED_RECEIVE_MAXIMUM if section.is_shared() else MOST_UNDER_WAY),
        is_shared=section.is_shared(),
        **settings,
        **broker_settings(building.config, section),
    )
    source = MqttConsumerSource(name, section, native, ready=_when_devices_are_known(building))
    _retirable(building).append(source)
    return source


@dataclass(frozen=True, slots=True)
class Retiring:
    """Answers the command `retire`."""

    sources: list[MqttConsumerSource] = field(default_factory=list)

    def retire(self, _request: dict[str, Any]) -> list[str]:
        """Make every consumer end its session. Return their names; `status` shows the progress of each."""
        for source in self.sources:
            source.retire()
        return [source.name for source in self.sources]


def _retirable(building: Building) -> list[MqttConsumerSource]:
    return building.once(_retiring).sources


def _retiring(building: Building) -> Retiring:
    retiring = Retiring()
    building.commands["retire"] = retiring.retire
    return retiring


def _devices(building: Building) -> _native.DeviceDirectory | None:
    """Return the directory of devices, None without [devices]."""
    if not is_asked_by_devices(building.config):
        return None
    from iiot_gateway.registry.directory import directory_of

    return directory_of(building)


def _when_devices_are_known(building: Building) -> Callable[[], Coroutine[Any, Any, None]] | None:
    """Return a function that waits for the registry of devices, None if no wait is needed."""
    if not is_asked_by_devices(building.config):
        return None
    from iiot_gateway.registry.directory import when_loaded

    return when_loaded(building)


def build_recorder(config: Config, name: str, section: MqttConsumerSection, writer: MessageWriter) -> Source:
    """Make a consumer whose messages go to a file. Raises SettingUnusable."""
    if section.broker_url == EMBEDDED:
        raise GatewayError(
            "the built-in broker runs only within the gateway, so `record` cannot listen to it: name the URL of another broker"
        )
    try:
        native = _native.MqttRecorder(
            writer.push,
            client_id=f"iiot-gateway-record-{os.getpid()}",
            subscriptions=subscriptions(section),
            max_document_bytes=section.max_document_bytes,
            **broker_settings(config, section),
        )
    except _native.MqttError as error:
        raise SettingUnusable(str(error)) from error
    return RecordedConsumer(name, section, native, writer)


def subscriptions(section: MqttConsumerSection) -> list[tuple[str, int]]:
    """Return the filters, each with its QoS."""
    return [(topic.filter, section.qos if topic.qos is None else topic.qos) for topic in section.topics]
