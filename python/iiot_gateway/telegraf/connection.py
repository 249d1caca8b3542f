"""Translates connections to brokers, which the input and the output for MQTT describe with the same keys."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iiot_gateway.config.secret import Secret
from iiot_gateway.telegraf import values
from iiot_gateway.telegraf.made import Made, Part
from iiot_gateway.telegraf.section import Section

TLS_FILES = {
    "tls_ca": "ca_file",
    "tls_cert": "client_cert_file",
    "tls_key": "client_key_file",
    "ssl_ca": "ca_file",
    "ssl_cert": "client_cert_file",
    "ssl_key": "client_key_file",
}
OTHER_CLIENT = "the gateway has an id of its own: two clients with one id throw each other out"
REASONS = {
    "insecure_skip_verify": "certificates are always checked; name the broker's own in ca_file",
    "tls_key_pwd": "the key must lie in its file without a password",
    "tls_min_version": "TLS 1.2 and later are spoken",
    "tls_server_name": "the certificate must be for the host of broker_url",
    "tls_cipher_suites": "the TLS library chooses",
    "tls_enable": "mqtts:// in broker_url turns TLS on",
    "client_trace": "`iiot-gateway record` shows what arrives",
    "alias": "a name in Telegraf's own log; sections have names here",
    "startup_error_behavior": "an absent broker is waited for, always",
    "log_level": "level of [log] is for everything",
}


@dataclass(frozen=True, slots=True)
class Connection:
    """The keys of a section that describe its connection, and the password in the server's URL."""

    keys: dict[str, Any]
    password: str


def read(section: Section) -> Connection | None:
    """Return the connection to the first server; None if the gateway has no such connection."""
    servers = section.texts("servers")
    server = values.broker(servers[0]) if servers else None
    if server is None:
        return None
    url, user, password = server
    keys: dict[str, Any] = {"broker_url": url}
    if username := section.text("username") or user:
        keys["username"] = username
    if url.startswith("mqtts:"):
        keys |= {to: file for key, to in TLS_FILES.items() if (file := section.text(key)) and Path(file).is_file()}
    if ("client_cert_file" in keys) != ("client_key_file" in keys):
        keys = {key: value for key, value in keys.items() if key not in ("client_cert_file", "client_key_file")}
    return Connection(keys, password)


def report(section: Section, made: Made, part: Part, connection: Connection) -> None:
    """Report the keys of the connection, and put its password into a file."""
    name = part.name
    if len(section.texts("servers") or []) > 1:
        section.differs("servers", f"broker_url of [{name}] is the first; the others are left out, because a session lives at one broker")
    else:
        section.taken("servers", f"broker_url of [{name}]")
    _report_access(section, made, part, connection)
    _report_files(section, part)
    if section.has("client_id"):
        section.differs("client_id", OTHER_CLIENT)


def _report_access(section: Section, made: Made, part: Part, connection: Connection) -> None:
    name = part.name
    if section.text("username") is not None:
        section.taken("username", f"username of [{name}]")
    if "username" not in part.keys:
        if section.has("password"):
            section.left_out("password", "a password without a username is none")
    elif isinstance(section.raw("password"), str):
        made.secret(section, "password", part, "password")
    elif connection.password:
        part.keys["password_file"] = f"{name}.password"
        made.secrets[f"{name}.password"] = Secret(connection.password)
        section.notes.append(f"the password of the server's URL is in the file {name}.password now")


def _report_files(section: Section, part: Part) -> None:
    name = part.name
    for key, to in TLS_FILES.items():
        if section.text(key) is None:
            continue
        if to in part.keys:
            section.taken(key, f"{to} of [{name}]")
        elif str(part.keys["broker_url"]).startswith("mqtts:"):
            section.left_out(key, f"such a file, or its like, is not on this machine: set {to} of [{name}]")
        else:
            section.left_out(key, "the server's URL asks for no TLS; ssl:// does")
