"""The section `[home_assistant]`: the brokers at which the gateway's metrics are announced."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING

from iiot_gateway.config.component import Faults, KeyPath
from iiot_gateway.config.keys import YEAR_S, flag, integer, text, texts
from iiot_gateway.config.mqtt_text import prefix_fault
from iiot_gateway.config.nearest import nearest_name
from iiot_gateway.sinks.mqtt.section import MqttSection

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeAssistantSection:
    """`[home_assistant]`: tells Home Assistant of every metric that goes to its broker (MQTT discovery)."""

    discovery: bool = flag(False, "true announces a device per node, and a sensor per metric.")
    mqtt: tuple[str, ...] = texts('The brokers to use, by the names of their sections: ["mqtt", "mqtt.site"]; empty uses all.')
    discovery_prefix: str = text("homeassistant", "Home Assistant's discovery prefix.")
    status_topic: str = text("homeassistant/status", "Where Home Assistant says online; everything is announced again then.")
    expire_after_s: int = integer(
        0, "Without a new value for this long, Home Assistant shows a sensor as unavailable. 0 turns this off.", low=0, high=YEAR_S
    )
    retired: tuple[str, ...] = texts("Nodes that are gone, by name: their sensors are removed from Home Assistant.")


def announced(config: Config) -> dict[str, MqttSection]:
    """Return the sections of the brokers at which metrics are announced, by name; none without discovery."""
    section = config.one(HomeAssistantSection)
    if not section.discovery:
        return {}
    return {name: mqtt for name, mqtt in config.of(MqttSection).items() if not section.mqtt or name in section.mqtt}


def faults(config: Config, _given: AbstractSet[KeyPath]) -> Faults:
    """Yield every broken rule."""
    section, brokers = config.one(HomeAssistantSection), config.of(MqttSection)
    if section.discovery and not brokers:
        yield ("home_assistant", "discovery"), "needs an [mqtt] section: the broker that Home Assistant listens to"
    for name in section.mqtt:
        if name not in brokers:
            yield ("home_assistant", "mqtt"), f"there is no section [{name}]{nearest_name(name, list(brokers))}"
    for key in ("discovery_prefix", "status_topic"):
        if fault := prefix_fault(getattr(section, key)):
            yield ("home_assistant", key), fault


def publishes_below(config: Config, broker_url: str) -> Iterator[tuple[str, str]]:
    """Yield the discovery prefix if metrics are announced at this broker."""
    for section in announced(config).values():
        if section.broker_url == broker_url:
            yield "home_assistant", config.one(HomeAssistantSection).discovery_prefix


def looks_at_values(config: Config) -> bool:
    """Return whether anything is announced."""
    return config.one(HomeAssistantSection).discovery
