"""The interface of a receiver, and the text of a notification for people."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of a notification; times are Unix seconds."""

    id: str
    state: Literal["firing", "resolved"]
    repeated: bool
    labels: dict[str, str]
    value: str
    text: str
    since: float
    at: float
    reason: str | None
    """Why the alert ended, if no value ended it."""


@dataclass(frozen=True, slots=True)
class Notification:
    """The alerts of one rule that a receiver gets together."""

    id: str
    """The same at every attempt."""
    rule: str
    severity: str
    alerts: tuple[Alert, ...]
    is_test: bool = False

    @property
    def is_firing(self) -> bool:
        """Whether any of the alerts is firing."""
        return any(alert.state == "firing" for alert in self.alerts)

    def title(self) -> str:
        """Return one line for people: the states, and the text of the alert if there is only one, otherwise the rule."""
        counts = {state: sum(alert.state == state for alert in self.alerts) for state in ("firing", "resolved")}
        states = ", ".join(
            state.upper() if len(self.alerts) == 1 else f"{count} {state.upper()}" for state, count in counts.items() if count
        )
        what = self.alerts[0].text if len(self.alerts) == 1 else self.rule
        return f"{'[TEST] ' if self.is_test else ''}[{states}] {what}"

    def lines(self) -> list[str]:
        """Return one line per alert."""
        return [line(alert) for alert in self.alerts]


def line(alert: Alert) -> str:
    """Return one line for people: the text of an alert, and its times."""
    since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(alert.since))
    if alert.state == "firing":
        return f"{alert.text} (since {since}{', still' if alert.repeated else ''})"
    until = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(alert.at))
    reason = f": {alert.reason.replace('_', ' ')}" if alert.reason else ""
    return f"Resolved: {alert.text} (from {since} to {until}{reason})"


def read_notification(document: dict[str, Any]) -> Notification:
    """Make a notification from the extension's document."""
    alerts = tuple(
        Alert(
            id=entry["id"],
            state=entry["state"],
            repeated=entry["repeated"],
            labels=entry["labels"],
            value=entry["value"],
            text=entry["text"],
            since=entry["since_ms"] / 1000,
            at=entry["at_ms"] / 1000,
            reason=entry["reason"],
        )
        for entry in document["alerts"]
    )
    return Notification(document["id"], document["rule"], document["severity"], alerts)


def own_name() -> str:
    """Return the name by which people know this gateway: the host name."""
    return socket.gethostname() or "iiot-gateway"


@dataclass(frozen=True, slots=True)
class Failed:
    """The reason why a receiver could not be notified."""

    reason: str
    retry_after_s: float = 0.0
    """How long the other side asks the gateway to wait, in seconds."""


class Receiver(Protocol):
    """A person or program that is notified. `send` may block: it runs on a thread of its own, which never delays the end of the process."""

    def send(self, notification: Notification) -> Failed | None:
        """Send a notification. Return None once the other side has it."""

    def cancel(self) -> None:
        """Make `send` return soon, now and in future."""
