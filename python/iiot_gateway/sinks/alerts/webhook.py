"""Notifies a web service: one HTTP post per notification, in the form that the service expects."""

from __future__ import annotations

import json
import re
import time
from typing import Any
from urllib.parse import unquote, unquote_plus, urlsplit, urlunsplit

from iiot_gateway._native import HttpError, Poster
from iiot_gateway.errors import SettingUnusable
from iiot_gateway.sinks.alerts.receiver import Failed, Notification, own_name
from iiot_gateway.sinks.alerts.webhook_section import WebhookSection

EXCERPT = 200
SECRET_CHARACTERS = 8
"""A shorter part of a URL may be an ordinary word, so it is hidden only within the whole path. A topic of ntfy is always hidden."""
NTFY_PRIORITY = {"critical": 5, "warning": 4}
SLACK_CHARACTERS = 30_000


class Webhook:
    """One URL to which notifications are posted."""

    def __init__(self, section: WebhookSection) -> None:
        """Check the settings. Raises SettingUnusable."""
        self._section = section
        self._secrets = _secrets(section)
        given = section.url.reveal()
        url, self._topic = (given, "") if section.form != "ntfy" else _ntfy(given)
        headers = {"Content-Type": "application/json"}
        if section.token:
            headers["Authorization"] = f"Bearer {section.token.reveal()}"
        try:
            self._poster = Poster(url, headers=headers, timeout_s=section.timeout_s, gzip=False, ca_file=section.ca_file or None)
        except HttpError as error:
            raise SettingUnusable(str(error)) from error

    def send(self, notification: Notification) -> Failed | None:
        """Post a notification. Only an answer of 2xx is a success."""
        answer = self._poster.post_bytes(json.dumps(self.body(notification)).encode())
        if answer.error:
            return Failed(f"{answer.error}: {answer.detail}")
        if 200 <= answer.status < 300:
            return None
        # Secrets are hidden before the text is cut off, because the cut could leave half a secret.
        excerpt = self._hidden(answer.body.decode("utf-8", "replace"))[:EXCERPT].strip()
        where = f" (it names {self._hidden(answer.location)})" if answer.location else ""
        return Failed(f"answered {answer.status}{where}: {excerpt}", answer.retry_after_s or 0.0)

    def cancel(self) -> None:
        """End the post under way."""
        self._poster.cancel()

    def _hidden(self, said: str) -> str:
        """Hide the secrets in an answer: many servers repeat the path in their errors."""
        for secret in self._secrets:
            said = said.replace(secret, "***")
        return said

    def body(self, notification: Notification) -> dict[str, Any]:
        """Return the JSON document to post."""
        match self._section.form:
            case "slack":
                return _slack(notification)
            case "ntfy":
                return {"topic": self._topic, **_ntfy_message(notification)}
            case "json":
                return _plain(notification)


def _plain(notification: Notification) -> dict[str, Any]:
    def moment(at_s: float) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s))

    return {
        "id": notification.id,
        "gateway": own_name(),
        "rule": notification.rule,
        "severity": notification.severity,
        "state": "firing" if notification.is_firing else "resolved",
        "title": notification.title(),
        "test": notification.is_test,
        "alerts": [
            {
                "id": alert.id,
                "state": alert.state,
                "repeated": alert.repeated,
                "labels": alert.labels,
                "value": alert.value,
                "text": alert.text,
                "since": moment(alert.since),
                "at": moment(alert.at),
                "reason": alert.reason,
            }
            for alert in notification.alerts
        ],
    }


def _slack(notification: Notification) -> dict[str, Any]:
    # In Slack, these three characters begin links and entities.
    escapes = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
    mark = ":rotating_light:" if notification.is_firing else ":white_check_mark:"
    lines = "\n".join(notification.lines()).translate(escapes)
    head = notification.title().translate(escapes)
    return {"text": f"{mark} *{head}*\n{lines}\n_{own_name()}, {notification.id}_"[:SLACK_CHARACTERS]}


def _ntfy_message(notification: Notification) -> dict[str, Any]:
    return {
        "title": notification.title(),
        "message": "\n".join([*notification.lines(), f"{own_name()}, {notification.id}"]),
        "priority": NTFY_PRIORITY[notification.severity] if notification.is_firing else 3,
        "tags": ["rotating_light" if notification.is_firing else "white_check_mark"],
    }


def _secrets(section: WebhookSection) -> list[str]:
    """Return the texts that must not reach a log through an answer, the longest first.

    These are the token, the URL, the path and their parts, also in the form in which a server decodes them.
    """
    parts = urlsplit(section.url.reveal())
    pieces = [piece for piece in re.split(r"[/?&=]", f"{parts.path}?{parts.query}") if len(piece) >= SECRET_CHARACTERS]
    topic = parts.path.strip("/") if section.form == "ntfy" else ""
    given = [parts.path.rstrip("/"), parts.query, topic, *pieces]
    shown = {read(piece) for piece in given for read in (str, unquote, unquote_plus)}
    return sorted({section.token.reveal(), section.url.reveal(), *shown} - {""}, key=len, reverse=True)


def _ntfy(url: str) -> tuple[str, str]:
    """Return the server's URL, to which JSON is posted, and the topic."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path="/")), parts.path.strip("/")
