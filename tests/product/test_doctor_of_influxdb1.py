"""What `doctor` and `influxdb` say of an InfluxDB 1: which key is wrong, and how a database is made there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateways import Gateway
from servers import Influxd

pytestmark = pytest.mark.servers


def test_the_api_of_an_older_server_is_named(gateway: Gateway, launch: Callable[..., Influxd]) -> None:
    """First the key, then the database; then a line comes back."""
    database = launch(Influxd)
    section = f'[influxdb]\nurl = "{database.url}"\nbucket = "plant"\n'
    gateway.configure(f"[simulate]\n{section}")

    older = gateway.run("doctor")
    assert (older.returncode, 'set api = "v1" if this is InfluxDB 1' in older.stdout) == (1, True), older.stdout
    password = gateway.folder / "password"
    password.write_text("secret-password")
    refused = gateway.run("influxdb", "init", "--password-file", str(password))
    assert refused.returncode == 1
    assert "influxdb init` is for InfluxDB 2 alone" in refused.stderr

    gateway.configure(f'[simulate]\n{section}api = "v1"\n')
    absent = gateway.run("doctor")
    assert (absent.returncode, 'make the database: CREATE DATABASE "plant"' in absent.stdout) == (1, True), absent.stdout
    database.create_database("plant")
    found = gateway.run("doctor")
    assert (found.returncode, "read back: the line is there" in found.stdout) == (0, True), found.stdout
