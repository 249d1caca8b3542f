"""Makes the alerts sink from its sections: rules, receivers, and topics at brokers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from iiot_gateway import _native
from iiot_gateway.config.component import PublishingSection
from iiot_gateway.config.keys import DAY_S, HOUR_S
from iiot_gateway.errors import JournalUnusable
from iiot_gateway.journal import inspect
from iiot_gateway.mqtt.connection import Connection, broker_settings
from iiot_gateway.sinks.alerts.log_receiver import LogReceiver
from iiot_gateway.sinks.alerts.mail_section import MailSection
from iiot_gateway.sinks.alerts.section import LOG, NAME, AlertsSection, active_rules, alert_topic, queued_receivers
from iiot_gateway.sinks.alerts.sink import AlertSink
from iiot_gateway.sinks.alerts.topics import AlertTopics
from iiot_gateway.sinks.alerts.webhook_section import WebhookSection

if TYPE_CHECKING:
    from iiot_gateway.components import Building
    from iiot_gateway.config.schema import Config
    from iiot_gateway.sinks.alerts.receiver import Receiver


def build_sink(building: Building, name: str, section: AlertsSection) -> AlertSink:
    """Make the sink. Raises ProfileInvalid, SettingUnusable, MqttError."""
    config = building.config
    native = _native.AlertSink(building.journal, name, settings(config, section))
    sink = AlertSink(name, native, build_receivers(config), lambda: building.document())  # noqa: PLW0108 - replaced later
    if section.topics and not building.is_replay:
        sink.topics = [
            AlertTopics(broker, publishing.topic_prefix, _side(config, publishing), sink.states)
            for broker, publishing in config.sinks().items()
            if isinstance(publishing, PublishingSection) and isinstance(publishing, Connection)
        ]
    building.alerts = sink.document
    building.commands["alerts"] = lambda _request: sink.document()
    return sink


def settings(config: Config, section: AlertsSection) -> _native.AlertSettings:
    """Return the settings for the extension. Raises ProfileInvalid."""
    told = tuple(queued_receivers(config))
    return _native.AlertSettings(
        [given.rule.json(given.profiles, told) for given in active_rules(config)],
        told,
        late_s=section.late_s,
        repeat_s=section.repeat_s,
        forget_s=section.forget_d * DAY_S,
        max_series=section.max_series,
        group_s=section.group_s,
        expire_s=section.expire_h * HOUR_S,
        max_waiting=section.max_waiting,
    )


def stored(config: Config) -> dict[str, Any]:
    """Return the states in the journal of a stopped gateway. Raises JournalUnusable, and GatewayError if there is no journal."""
    inspect(config)
    path = config.journal_path()
    try:
        document: dict[str, Any] = json.loads(_native.stored_alerts(path, NAME, settings(config, config.one(AlertsSection))))
    except _native.JournalError as error:
        raise JournalUnusable(error.kind, path, str(error)) from error
    return document


def build_receivers(config: Config) -> dict[str, Receiver]:
    """Make the receivers that have a queue, by name. Raises SettingUnusable."""
    made: dict[str, Receiver] = {}
    if config.one(AlertsSection).log:
        made[LOG] = LogReceiver()
    webhooks, mails = config.of(WebhookSection), config.of(MailSection)
    if webhooks:
        from iiot_gateway.sinks.alerts.webhook import Webhook

        made |= {name: Webhook(section) for name, section in webhooks.items()}
    if mails:
        from iiot_gateway.sinks.alerts.mail import Mail

        made |= {name: Mail(section) for name, section in mails.items()}
    return made


def _side(config: Config, section: PublishingSection) -> _native.SideConnection:
    assert isinstance(section, Connection)  # noqa: S101 - the caller has checked it
    # It subscribes to find retained topics of rules that no longer exist.
    subscribed = [alert_topic(section.topic_prefix, "+")]
    return _native.SideConnection(client_id=f"{section.client_id}-alerts", subscriptions=subscribed, **broker_settings(config, section))
