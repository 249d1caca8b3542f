"""Builds the keeper of the devices' accounts at the broker that `[devices] mosquitto` names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iiot_gateway import _native
from iiot_gateway.device_accounts.conversation import RESPONSES
from iiot_gateway.device_accounts.handed import HandedKeys
from iiot_gateway.device_accounts.keeper import AccountKeeper
from iiot_gateway.device_mqtt.brokers import account_broker
from iiot_gateway.mqtt.connection import broker_settings
from iiot_gateway.registry.building import registry_of
from iiot_gateway.registry.section import DevicesSection

if TYPE_CHECKING:
    from iiot_gateway.components import Building


def handed_keys_of(building: Building) -> HandedKeys | None:
    """Return the store of keys for the broker; None if no broker has accounts of devices."""
    return building.once(_handed_keys)


def _handed_keys(building: Building) -> HandedKeys | None:
    return None if account_broker(building.config) is None else HandedKeys()


def account_keeper_of(building: Building) -> AccountKeeper | None:
    """Return the keeper of the accounts; None if no broker has accounts of devices. Raises MqttError, RegistryUnusable."""
    section, handed, registry = account_broker(building.config), handed_keys_of(building), registry_of(building)
    if section is None or handed is None or registry is None:
        return None
    client_id = f"iiot-gateway-{building.journal.id[:12]}-accounts"
    side = _native.SideConnection(client_id=client_id, subscriptions=[RESPONSES], **broker_settings(building.config, section))
    topics = building.config.one(DevicesSection).topics
    return AccountKeeper(registry, handed, side, broker=section.broker_url, topics=topics)
