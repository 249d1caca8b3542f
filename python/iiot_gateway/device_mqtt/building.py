"""Builds the connections that send to devices over MQTT, and tells the broker to which devices publish."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio

from iiot_gateway import _native
from iiot_gateway.device_mqtt.brokers import device_broker
from iiot_gateway.device_mqtt.outgoing import Outgoing
from iiot_gateway.device_mqtt.presence import Presence, Publish
from iiot_gateway.log import DEVICES_DISCONNECTED, get_log
from iiot_gateway.mqtt.broker import EMBEDDED, BrokerSection
from iiot_gateway.mqtt.connection import broker_settings
from iiot_gateway.mqtt.side import serve_side
from iiot_gateway.registry.directory import directory_in_use
from iiot_gateway.sinks.mqtt.section import MqttSection

if TYPE_CHECKING:
    from iiot_gateway.components import Building
    from iiot_gateway.config.schema import Config
    from iiot_gateway.device_api.service import DeviceApi

HEARD_S = 0.5

Task = Callable[[], Coroutine[Any, Any, None]]


def mqtt_address(config: Config) -> tuple[str, int] | None:
    """Return host and port of the devices' broker; an empty host means this gateway. None if devices have no broker."""
    section = device_broker(config)
    if section is None:
        return None
    if section.broker_url == EMBEDDED:
        return "", int(config.one(BrokerSection).listen.rpartition(":")[2])
    parts = urlsplit(section.broker_url)
    return parts.hostname or "", parts.port or (8883 if parts.scheme == "mqtts" else 1883)


def tasks(building: Building, api: DeviceApi) -> list[Task]:
    """Return the tasks that run beside the posts, each until cancelled. Raises MqttError for a setting that cannot be used."""
    config = building.config
    wanted: list[Task] = []
    publish: Publish | None = None
    if told := next(iter(config.of(MqttSection).items()), None):
        name, sink = told
        told_below = f"{sink.topic_prefix}/gateway/devices"
        # Such a connection must subscribe to a topic; only this gateway publishes to this one.
        side = _native.SideConnection(
            client_id=f"{sink.client_id}-presence", subscriptions=[f"{told_below}/+"], **broker_settings(config, sink)
        )
        log = get_log(sink=name)
        publish = _retained(side, told_below)
        wanted.append(lambda: serve_side(side, lambda *_: None, log, DEVICES_DISCONNECTED))
    wanted.append(Presence(api, publish).run)
    wanted.append(_followed(building, api))
    if (section := device_broker(config)) is not None:
        subscribed = [f"{api.section.topics}/+/status/+"]
        client_id = f"iiot-gateway-{building.journal.id[:12]}-devices"
        outgoing = _native.SideConnection(client_id=client_id, subscriptions=subscribed, **broker_settings(config, section))
        wanted.append(Outgoing(api, outgoing).run)
    return wanted


def _retained(side: _native.SideConnection, prefix: str) -> Publish:
    def publish(device_id: str, presence: str) -> None:
        side.publish(f"{prefix}/{device_id}", presence.encode(), retain=True)

    return publish


def _followed(building: Building, api: DeviceApi) -> Task:
    """Return the task that keeps the directory in step with the registry, and notes which devices sent messages over MQTT."""

    async def run() -> None:
        # All sources and brokers are made by now. Where none of them asks about devices, 10,000 devices need 7 MB less.
        synced = directory_in_use(building)
        if synced is None:
            return
        directory, sync = synced
        async with anyio.create_task_group() as both:
            both.start_soon(sync.run)
            while True:
                for device_id, at_ns in directory.heard():
                    api.hears(device_id, at_ns / 1e9)
                await anyio.sleep(HEARD_S)

    return run
