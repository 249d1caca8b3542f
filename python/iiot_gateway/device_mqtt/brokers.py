"""The broker to which devices publish, the broker where they have accounts, and what `check` says about both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from iiot_gateway.config.mqtt_text import filter_fault, overlaps
from iiot_gateway.config.urls import is_loopback
from iiot_gateway.mqtt.broker import EMBEDDED
from iiot_gateway.mqtt.connection import Connection, connections
from iiot_gateway.registry.section import DevicesSection
from iiot_gateway.sources.mqtt_consumer.section import MqttConsumerSection

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config


def device_broker(config: Config) -> MqttConsumerSection | None:
    """Return the section of the broker that devices publish to: the first consumer of their topics."""
    topics = config.one(DevicesSection).topics
    for section in config.of(MqttConsumerSection).values():
        if any(not filter_fault(topic.filter) and overlaps(topic.filter, f"{topics}/+/telemetry/#") for topic in section.topics):
            return section
    return None


def account_broker(config: Config) -> Connection | None:
    """Return the section of the broker where devices have accounts, None if no broker has such accounts."""
    for section in config.of(DevicesSection).values():
        if section.mosquitto:
            return connections(config).get(section.mosquitto)
    return None


def account_notes(config: Config) -> Iterator[str]:
    """Report brokers that let anybody publish for any device, and connections on which others could read passwords."""
    kept_at, published_to = account_broker(config), device_broker(config)
    if kept_at is not None:
        parts = urlsplit(kept_at.broker_url)
        if parts.scheme == "mqtt" and not is_loopback(parts.hostname or ""):
            yield f"[devices] keys go to {kept_at.broker_url} in plain text, where others on the way can read them: use mqtts://"
    if published_to is None or published_to.broker_url == EMBEDDED:
        return
    if kept_at is None:
        yield (
            f"[devices] nothing here keeps anybody from publishing for every device at {published_to.broker_url}: name its section in "
            "mosquitto if it has dynamic security, or give it the files of `iiot-gateway devices export --mosquitto FOLDER`"
        )
    elif kept_at.broker_url != published_to.broker_url:
        yield f"[devices] accounts are kept at {kept_at.broker_url}, and messages of devices are taken from {published_to.broker_url}"
