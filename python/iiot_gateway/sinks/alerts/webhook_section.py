"""The sections `[webhook]` and `[webhook.NAME]`: alerts as HTTP posts, in the form that the receiver expects."""

from __future__ import annotations

import os
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from iiot_gateway.config.component import Component, Faults, KeyPath, place
from iiot_gateway.config.keys import number, path, secret, text
from iiot_gateway.config.secret import Secret
from iiot_gateway.config.urls import is_loopback, url_faults

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSection:
    """`[webhook]`, `[webhook.NAME]`: notifies a web service of alerts: your own program, Slack, or ntfy for a phone."""

    url: Secret = secret(
        "The URL to which notifications are posted; for ntfy with the topic, like https://ntfy.sh/my-plant. "
        "Preferably set by IIOT_WEBHOOK__URL or url_file if everyone who knows it can post or read there."
    )
    url_file: str = path("", "A file that holds the URL and nothing else.")
    form: Literal["json", "slack", "ntfy"] = text("json", "The form of the notification.", "json", "slack", "ntfy")
    token: Secret = secret("Sent as a bearer token, if set. Preferably set by IIOT_WEBHOOK__TOKEN or token_file.")
    token_file: str = path("", "A file that holds the token and nothing else.")
    ca_file: str = path("", "Certificates to trust instead of those of the system (PEM).")
    timeout_s: float = number(10.0, "An attempt fails after this many seconds.", low=0.1, high=120)


def faults(config: Config, _given: AbstractSet[KeyPath]) -> Faults:
    """Yield every broken rule."""
    for name, section in config.of(WebhookSection).items():
        at, url = place(name), section.url.reveal()
        # A query is allowed, because some services need a token in it. The gateway adds nothing behind the query.
        wrong = list(url_faults((*at, "url"), url.partition("?")[0], ("http", "https"), is_secret=True))
        if not wrong and not (url.isascii() and url.isprintable() and " " not in url):
            wrong = [((*at, "url"), "expected a URL without spaces and without letters beyond ASCII: write them as %20 and so on")]
        yield from wrong
        if wrong:
            continue
        parts = urlsplit(url)
        if section.form == "ntfy" and (parts.path.strip("/") == "" or "/" in parts.path.strip("/")):
            yield (*at, "url"), "expected the topic behind the server's address, like https://ntfy.sh/my-plant"
        if section.token and parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            yield (*at, "token"), "would travel in the clear: use https://"
        if section.ca_file and not os.path.isfile(section.ca_file):
            yield (*at, "ca_file"), f"there is no file {section.ca_file}"


COMPONENT = Component(name="webhook", section=WebhookSection, faults=faults)
