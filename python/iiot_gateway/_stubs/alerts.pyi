"""What `rust/iiot-native/src/alerts.rs` gives to Python."""

from collections.abc import Sequence
from typing import Self, final

from iiot_gateway._stubs.journal import Journal

@final
class AlertSettings:
    """Rules, receivers and limits of alerts. Each rule is a JSON object with the given keys of [[alert]], with of = "silence" for a silence.

    Raises ValueError for a rule that cannot be used."""

    def __new__(
        cls,
        rules: Sequence[str],
        receivers: Sequence[str],
        *,
        late_s: float,
        repeat_s: float,
        forget_s: float,
        max_series: int,
        group_s: float,
        expire_s: float,
        max_waiting: int,
    ) -> Self:
        """Set the limits; those whose names end in _s are seconds.

        `late_s`: a value that was older when it arrived begins and ends no alert. `repeat_s`: an alert that goes on is notified again after this time; 0 notifies once.
        `forget_s`: a series without a value for this time is forgotten, and its alert ends. `max_series`: the most series that all rules together watch.
        `group_s`: changes of one rule are collected for this time, and sent as one notification. `expire_s`: a change that could not be sent for this time is given up.
        `max_waiting`: the most changes that wait for one receiver; beyond that, the oldest are dropped."""

@final
class AlertSink:
    """The path from the journal to the alerts of a sink. One thread calls `deliver`; any thread may call the other methods. Each call waits for the disk.

    The changes of a call are committed when it returns. Raises JournalError."""

    def __new__(cls, journal: Journal, name: str, settings: AlertSettings) -> Self:
        """Load the states that are stored beside the sink's cursor."""
    def deliver(self, *, linger_ms: int, timeout_ms: int) -> int | None:
        """Judge the next frames, and update the time. Returns the number of frames, None if none came in time."""
    def figures(self, figures: Sequence[tuple[str, Sequence[tuple[str, str]], float]]) -> None:
        """Set the present figures of the gateway, all of them: (name, labels sorted by their names, value)."""
    def take(self, receiver: str) -> str | None:
        """The notification for a receiver, now sealed: it stays the same until `tried` reports that it was sent. None if there is nothing to send.

        JSON: {"id", "rule", "severity", "alerts": [{"id", "state", "repeated", "labels", "value", "text", "since_ms", "at_ms", "reason"}]}."""
    def tried(self, receiver: str, id: str, sent: bool) -> bool:
        """Note whether a notification was sent. False if the notification has expired meanwhile."""
    def version(self) -> int:
        """A number that increases with each change of the states."""
    def document(self) -> str:
        """JSON: {"rules", "receivers", "late", "beyond_max_series"}, in the schema Alerts of the HTTP API."""
    def cancel(self) -> None:
        """Make `deliver` return at once, now and in future."""

def stored_alerts(path: str, name: str, settings: AlertSettings) -> str:
    """The result of `AlertSink.document` for a journal that no gateway has open. Raises JournalError."""

def alert_rule_fault(rule: str) -> tuple[str, str] | None:
    """The wrong key of a rule, and what is wrong with it; None if the rule can be used. See `AlertSettings`."""
