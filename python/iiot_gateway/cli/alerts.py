"""`alerts`: rules, present alerts and waiting notifications; `alerts test NAME`: a test to a receiver, or of a rule to its receivers."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import re
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any

from iiot_gateway.cli.columns import lined_up
from iiot_gateway.config.load import load
from iiot_gateway.config.nearest import nearest_name
from iiot_gateway.errors import GatewayError, GatewayUnreachable
from iiot_gateway.visible import visible

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config
    from iiot_gateway.sinks.alerts.receiver import Notification

NOBODY = "no receiver gets alerts: add [alerts], [webhook] or [mail] to the configuration"

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
"""A placeholder in the message of a rule."""
SETTINGS = {"webhook": "url or url_file, form, token and ca_file", "mail": "host, port, tls, username, password and ca_file"}
"""The settings to check for each kind of receiver."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the list and the test."""
    parser.add_argument("action", nargs="?", choices=["list", "test"], default="list")
    parser.add_argument("name", nargs="?", metavar="NAME", help="with test: a receiver, such as webhook.phone, or a rule")
    parser.add_argument("--json", action="store_true", help="with list: print JSON")


def run(args: argparse.Namespace) -> int:
    """List the alerts, or send a test. Return 1 if a receiver did not accept the test."""
    config = load(args.config)
    if args.action == "test":
        if args.name is None:
            raise GatewayError("alerts test needs the name of a receiver or of a rule")
        return _test(config, args.name)
    if args.name is not None:
        raise GatewayError("a name can only be given with test")
    document = _fetch(config)
    print(json.dumps(document, indent=2) if args.json else _table(document))
    return 0


def _fetch(config: Config) -> dict[str, Any]:
    """Ask the running gateway, or read the journal if no gateway runs."""
    from iiot_gateway.pipeline.control import ask
    from iiot_gateway.sinks.alerts.section import AlertsSection

    if not config.of(AlertsSection):
        raise GatewayError(NOBODY)
    try:
        document: dict[str, Any] = ask(config.journal_path(), {"command": "alerts"})
    except GatewayUnreachable:
        from iiot_gateway.sinks.alerts.building import stored

        return stored(config)
    return document


def _table(document: dict[str, Any]) -> str:
    rules = [
        [rule["name"], rule["severity"], rule["state"], str(rule["firing"]), str(rule["series"]), ", ".join(rule["receivers"])]
        for rule in document["rules"]
    ]
    parts = [lined_up(["rule", "severity", "state", "firing", "series", "receivers"], rules)]
    holding = [
        f"{rule['name']}  {alert['state']}  since {_moment(alert['since_ms'])}  {alert['text']}"
        for rule in document["rules"]
        for alert in rule["alerts"]
    ]
    parts.append("\n".join(visible(line) for line in holding) or "no alert is pending or firing")
    counts = ("waiting", "sent", "failed", "coalesced", "expired", "dropped")
    receivers = [
        [name, *(str(entry[count]) for count in counts), entry.get("last_error") or ""] for name, entry in document["receivers"].items()
    ]
    if receivers:
        parts.append(lined_up(["receiver", *counts, "last error"], receivers))
    if document["late"] or document["beyond_max_series"]:
        parts.append(f"since the start {document['late']} late values, {document['beyond_max_series']} of series beyond max_series")
    return "\n\n".join(parts)


def _moment(at_ms: int) -> str:
    return dt.datetime.fromtimestamp(at_ms / 1000, tz=dt.UTC).isoformat(timespec="seconds")


def _test(config: Config, name: str) -> int:
    from iiot_gateway import log
    from iiot_gateway.sinks.alerts.building import build_receivers
    from iiot_gateway.sinks.alerts.section import AlertsSection, active_rules, queued_receivers

    if not config.of(AlertsSection):
        raise GatewayError(NOBODY)
    rules = {given.rule.name: given.rule for given in active_rules(config)}
    told = queued_receivers(config)
    if name in told:
        wanted, notification = [name], _notification("test", f"This is a test of {name}.", "warning")
    elif name in rules:
        rule = rules[name]
        wanted = [receiver for receiver in rule.receivers or told if receiver in told]
        # A test has no series and no value, so the message shows their names instead.
        message = PLACEHOLDER.sub(r"[\1]", rule.message) or "it has no message of its own"
        notification = _notification(name, f"This is a test of the rule {name}, without values: {message}", rule.severity)
    else:
        raise GatewayError(
            f"there is no receiver and no rule {name!r}; receivers are {', '.join(told)}{nearest_name(name, [*told, *rules])}"
        )
    made = build_receivers(config)
    # The log is a receiver, too.
    log.configure(config.log.level, config.log.format)
    results = {receiver: made[receiver].send(notification) for receiver in wanted}
    log.finish()
    for receiver, failed in results.items():
        print(visible(f"{receiver}: {'took the test' if failed is None else failed.reason}"))
        if failed is not None:
            print(f"      -> check [{receiver}]: {SETTINGS.get(receiver.split('.')[0], 'its keys')}", file=sys.stderr)
    return 1 if any(results.values()) else 0


def _notification(rule: str, text: str, severity: str) -> Notification:
    from iiot_gateway.sinks.alerts.receiver import Alert, Notification

    now_s = time.time()
    alert = Alert(
        id=uuid.uuid4().hex[:16], state="firing", repeated=False, labels={}, value="", text=text, since=now_s, at=now_s, reason=None
    )
    return Notification(id=uuid.uuid4().hex[:16], rule=rule, severity=severity, alerts=(alert,), is_test=True)
