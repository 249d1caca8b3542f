"""What a receiver is, and how a notification reads for people."""

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
    """Why it ended, where no value says so."""


@dataclass(frozen=True, slots=True)
class Notification:
    """What a receiver is told at once: alerts of one rule."""

    id: str
    """The same at every attempt."""
    rule: str
    severity: str
    alerts: tuple[Alert, ...]
    is_test: bool = False

    @property
    def is_firing(self) -> bool:
        """Whether any of the alerts holds."""
        return any(alert.state == "firing" for alert in self.alerts)

    def title(self) -> str:
        """Return a line for people: state and rule, and the alert itself if it is alone."""
        counts = {state: sum(alert.state == state for alert in self.alerts) for state in ("firing", "resolved")}
        states = ", ".join(
            state.upper() if len(self.alerts) == 1 else f"{count} {state.upper()}" for state, count in counts.items() if count
        )
        what = self.alerts[0].text if len(self.alerts) == 1 else self.rule
        return f"{'[TEST] ' if self.is_test else ''}[{states}] {what}"

    def lines(self) -> list[str]:
        """Return a line for each alert."""
        return [line(alert) for alert in self.alerts]


def line(alert: Alert) -> str:
    """Return an alert for people: what it says, and since or until when."""
    since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(alert.since))
    if alert.state == "firing":
        return f"{alert.text} (since {since}{', still' if alert.repeated else ''})"
    until = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(alert.at))
    reason = f": {alert.reason.replace('_', ' ')}" if alert.reason else ""
    return f"Resolved: {alert.text} (from {since} to {until}{reason})"


def read_notification(document: dict[str, Any]) -> Notification:
    """Read what the extension gives."""
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
    """Return how people know this gateway."""
    return socket.gethostname() or "iiot-gateway"


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a receiver was not told."""

    reason: str
    retry_after_s: float = 0.0
    """The other side has asked to wait so long."""


class Receiver(Protocol):
    """Somebody who is told. `send` blocks, and is called on a thread that nothing waits for at the end."""

    def send(self, notification: Notification) -> Failed | None:
        """Tell; None once the other side has it."""

    def cancel(self) -> None:
        """Let `send` return soon, now and from now on."""
