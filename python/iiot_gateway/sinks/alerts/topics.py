"""Writes the state of each rule to a retained topic of a broker: all states at each new connection, then every change.

Topics of rules that no longer exist are cleared.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from iiot_gateway.log import ALERT_TOPICS_DISCONNECTED, ALERT_TOPICS_REFUSED, get_log
from iiot_gateway.mqtt.side import Messages, Refused, serve_side
from iiot_gateway.sinks.alerts.section import alert_topic

if TYPE_CHECKING:
    from iiot_gateway._native import SideConnection

Document = Callable[[], tuple[int, dict[str, Any]]]
"""Returns the version of the states, and the document with the states."""


class AlertTopics:
    """The topics at one broker."""

    def __init__(self, name: str, prefix: str, side: SideConnection, document: Document) -> None:
        self._prefix = prefix
        self._side = side
        self._document = document
        self._connection = 0
        self._version = 0
        self._sent: dict[str, bytes] = {}
        """The payloads that this connection has written, by topic."""
        self._strange: set[str] = set()
        """Retained topics of rules that no longer exist."""
        self._log = get_log(sink=name)

    async def run(self) -> None:
        """Serve until cancelled."""
        await serve_side(self._side, self._take, self._log, ALERT_TOPICS_DISCONNECTED)

    def _take(self, connection: int, messages: Messages, refused: Refused) -> None:
        for topic, reason, _number in refused:
            self._log.error(ALERT_TOPICS_REFUSED, topic=topic, reason=reason)
        if connection != self._connection:
            self._connection, self._sent, self._strange, self._version = connection, {}, set(), 0
        for topic, payload, retained in messages:
            if retained and payload:
                self._strange.add(topic)
        if connection:
            self._write()

    def _write(self) -> None:
        version, document = self._document()
        wanted = {alert_topic(self._prefix, rule["name"]): _payload(rule) for rule in document["rules"]}
        for topic in self._strange - wanted.keys():
            if self._side.publish(topic, b"", retain=True):
                self._strange.discard(topic)
        if version == self._version:
            return
        is_complete = True
        for topic, payload in wanted.items():
            if self._sent.get(topic) != payload:
                if self._side.publish(topic, payload, retain=True):
                    self._sent[topic] = payload
                else:
                    is_complete = False
        if is_complete:
            self._version = version


def _payload(rule: dict[str, Any]) -> bytes:
    firing = [alert for alert in rule["alerts"] if alert["state"] == "firing"]
    document = {
        "name": rule["name"],
        "severity": rule["severity"],
        "state": "firing" if firing else "ok",
        "firing": rule["firing"],
        "alerts": [{key: alert[key] for key in ("id", "labels", "value", "text", "since_ms")} for alert in firing],
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
