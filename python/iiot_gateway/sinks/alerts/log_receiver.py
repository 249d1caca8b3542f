"""Writes alerts to the log: one event per alert."""

from __future__ import annotations

from iiot_gateway.log import ALERT_FIRING, ALERT_RESOLVED, get_log
from iiot_gateway.sinks.alerts.receiver import Failed, Notification


class LogReceiver:
    """The gateway's own log as a receiver."""

    def send(self, notification: Notification) -> Failed | None:
        """Write one event per alert."""
        log = get_log(rule=notification.rule, notification=notification.id)
        for alert in notification.alerts:
            told = {
                "text": alert.text,
                "value": alert.value,
                **{f"tag_{key}": value for key, value in alert.labels.items()},
                "id": alert.id,
            }
            if alert.state == "resolved":
                log.info(ALERT_RESOLVED, **told, **({"reason": alert.reason} if alert.reason else {}))
            elif notification.severity == "critical":
                log.error(ALERT_FIRING, **told, **({"repeated": True} if alert.repeated else {}))
            else:
                log.warning(ALERT_FIRING, **told, **({"repeated": True} if alert.repeated else {}))
        return None

    def cancel(self) -> None:
        """Do nothing: `send` never waits."""
