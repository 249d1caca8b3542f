"""The trials of `doctor` for receivers of alerts: whether mail servers let the gateway log in. Nothing is sent."""

from __future__ import annotations

from collections.abc import Iterator

from iiot_gateway.config.schema import Config
from iiot_gateway.errors import command
from iiot_gateway.findings import Finding
from iiot_gateway.sinks.alerts.mail import Mail
from iiot_gateway.sinks.alerts.mail_section import MailSection
from iiot_gateway.sinks.alerts.webhook_section import WebhookSection


def receivers(config: Config) -> Iterator[Finding]:
    """Try each mail server, and say how to try the other receivers."""
    for name, section in config.of(MailSection).items():
        failed = Mail(section).try_out()
        subject = f"{name} {section.host}:{section.port}"
        if failed is None:
            yield Finding(subject, ok=True, detail=f"lets the gateway in; `{command(f'alerts test {name}')}` sends a mail")
        else:
            yield Finding(subject, ok=False, detail=failed.reason, remedy="check host, port, tls and password")
    for name in config.of(WebhookSection):
        yield Finding(name, ok=None, detail=f"is tried by `{command(f'alerts test {name}')}`, which sends a notification")
