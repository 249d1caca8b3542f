"""Lists every kind of section, in the order of the template. A new source, sink or service is one line here.

No other module of the configuration knows components. Their modules load nothing heavy.
"""

from __future__ import annotations

from importlib import import_module

from iiot_gateway.config.component import Component
from iiot_gateway.config.schema import GatewaySection, HttpSection, JournalSection, LogSection

MODULES = (
    "sources.probe_rs",
    "sources.serial",
    "sources.simulate",
    "sources.mqtt_consumer",
    "device_api",
    "sinks.mqtt",
    "mqtt.broker",
    "home_assistant",
    "sinks.influxdb",
    "sinks.postgresql",
    "sinks.history",
    "sinks.stdout",
    "sinks.alerts",
    "sinks.alerts.rule_section",
    "sinks.alerts.webhook_section",
    "sinks.alerts.mail_section",
    "downlink",
)
"""The folder or file of each component, which declares it as COMPONENT."""


def _core(name: str, section: type) -> Component:
    return Component(name=name, section=section, many=False, template="shown")


COMPONENTS: tuple[Component, ...] = tuple(import_module(f"iiot_gateway.{name}").COMPONENT for name in MODULES)
CORE = (
    _core("gateway", GatewaySection),
    _core("journal", JournalSection),
    _core("http", HttpSection),
    _core("log", LogSection),
)
"""The sections of every gateway."""
SECTIONS: dict[str, Component] = {component.name: component for component in (CORE[0], *COMPONENTS, *CORE[1:])}
"""Every section by name, in the order of the template."""
