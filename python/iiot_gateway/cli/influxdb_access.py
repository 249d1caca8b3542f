"""Finds the server and the tokens for the commands of `influxdb`: the client of a section, and files that hold a token or a password."""

from __future__ import annotations

import os
from typing import Any

from iiot_gateway.config.files import read_secret
from iiot_gateway.errors import GatewayError
from iiot_gateway.sinks.influxdb.section import InfluxdbSection


def client(section: InfluxdbSection, token: str) -> Any:
    """Return the client of influxdb-client for a section."""
    from influxdb_client import InfluxDBClient

    return InfluxDBClient(
        url=section.url,
        token=token,
        org=section.org,
        timeout=int(section.timeout_s * 1000),
        ssl_ca_cert=section.ca_file or None,
    )


def foreign(section: InfluxdbSection, what: str) -> GatewayError:
    """Return the error for a peer that is not InfluxDB 2, such as a login page, a proxy or another server."""
    return GatewayError(f"{section.url} is no InfluxDB 2: {what}; set url to the database itself, without the path of its API")


def write_secret(path: str, text: str) -> None:
    """Write a token to a new file that only its owner can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")


def secret_of(path: str) -> str:
    """Return the only line of a file. Raises GatewayError."""
    try:
        text = read_secret(path)
    except (OSError, UnicodeDecodeError) as error:
        raise GatewayError(f"{path} cannot be read: {getattr(error, 'strerror', 'not UTF-8 text')}") from error
    if not text:
        raise GatewayError(f"{path} is empty")
    return text
