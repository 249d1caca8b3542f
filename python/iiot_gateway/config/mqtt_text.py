"""What of a configuration becomes text of MQTT, held against what MQTT allows: a broker may close the connection for anything else."""

from __future__ import annotations

import re
from collections.abc import Iterator

from iiot_gateway._native import MQTT_PREFIX_BYTES, mqtt_text_fault
from iiot_gateway.config.schema import EMBEDDED, Config
from iiot_gateway.config.secret import Secret

KeyPath = tuple[str, ...]

PREFIX_FAULT = "expected levels parted by single slashes, without + and #"
MAX_BYTES = 65535
MAX_CLIENT_ID_BYTES = MAX_BYTES - len("-discovery")
"""Connections beside a sink's have the sink's client id with a word behind it."""


def prefix_fault(text: str) -> str | None:
    """Say why a text cannot begin topics, or be one; None if it can."""
    if not text or text.startswith("$") or re.search(r"[+#]|//|^/|/$", text):
        return PREFIX_FAULT
    return mqtt_text_fault(text, max_bytes=MQTT_PREFIX_BYTES)


def text_faults(config: Config) -> Iterator[tuple[KeyPath, str]]:
    """Give what MQTT does not take of client ids, user names and passwords."""
    for name, section in config.mqtt.items():
        path = tuple(name.split("."))
        if fault := mqtt_text_fault(section.client_id, max_bytes=MAX_CLIENT_ID_BYTES):
            yield (*path, "client_id"), fault
        yield from _credentials(path, section.username, section.password)
    if any(section.broker_url == EMBEDDED for section in config.mqtt.values()):
        yield from _credentials(("broker",), config.broker.username, config.broker.password)


def _credentials(path: KeyPath, username: str, password: Secret) -> Iterator[tuple[KeyPath, str]]:
    if fault := mqtt_text_fault(username):
        yield (*path, "username"), fault
    # A password may hold any bytes, but no more than a text.
    if len(password.reveal().encode()) > MAX_BYTES:
        yield (*path, "password"), f"is longer than {MAX_BYTES} bytes"
