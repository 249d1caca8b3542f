"""The remedies for a broker at which a trial of `doctor` failed."""

from __future__ import annotations

from typing import Any

REMEDY = {
    "connect": "check broker_url, that the broker runs, and that no firewall stands between",
    "tls": "check ca_file, that the broker's certificate carries the host's name, and client_cert_file if the broker asks for one",
    "authenticate": "check username and password_file",
    "subscribe": "let the broker's ACL allow this user to read {topic}",
    "publish": "let the broker's ACL allow this user to write {rights}",
    "read_back": "let the broker's ACL allow this user to write {rights}; the broker took the message and threw it away",
}

REMEDY_OF_KIND = {
    "not_authorized": REMEDY["authenticate"],
    "tls": REMEDY["tls"],
    "unreachable": REMEDY["connect"],
    "refused": "read the broker's words: it does not take this client_id or this protocol, or has no room",
    "protocol": "check protocol, and that an MQTT broker and nothing else listens at broker_url",
}
"""Remedies by the reason of a failed connection, which says more than the step that failed."""


def remedy(report: dict[str, Any], topic: str = "PREFIX/gateway/doctor", rights: str = "PREFIX/#") -> str:
    """Return the remedy for a trial that failed on a topic. `rights` is the filter to which the gateway must be allowed to publish."""
    step, kind = str(report["step"]), report.get("kind")
    # If a right is missing, the password was correct.
    found = REMEDY_OF_KIND.get(str(kind)) if kind != "not_authorized" or step == "connect" else None
    return (found or REMEDY.get(step, REMEDY["connect"])).format(topic=topic, rights=rights)
