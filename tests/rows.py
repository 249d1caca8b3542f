"""The plant's doses on their way through a gateway into PostgreSQL: configured, waited for, and read back."""

from __future__ import annotations

from typing import Any

from gateways import Gateway, assert_balanced
from servers import Mosquitto
from timescale import Database


def configure(gateway: Gateway, broker: Mosquitto, url: str, keys: str = "", profile: str = "factory-dosing") -> None:
    """Take doses from a broker to a database."""
    gateway.configure(
        f'[mqtt_consumer]\nbroker_url = "{broker.url}"\ntopics = ["factory/#"]\nprofile = "{profile}"\n'
        f'[postgresql]\nurl = "{url}"\nbatch_interval_ms = 10\n{keys}\n'
    )


def start(gateway: Gateway) -> None:
    """Start the gateway and wait until the broker has its subscription."""
    gateway.start("run")
    gateway.until(lambda status: status["source"]["mqtt_consumer"]["state"] == "subscribed", "the subscription")


def sink_of(status: dict[str, Any]) -> dict[str, Any]:
    """Return what the status says of the sink."""
    sink: dict[str, Any] = status["sinks"]["postgresql"]
    return sink


def delivered(gateway: Gateway, accepted: int) -> dict[str, Any]:
    """Wait until so many frames were accepted and none waits; return the status."""

    def is_in(status: dict[str, Any]) -> bool:
        return bool(status["intake"]["accepted"] >= accepted and sink_of(status)["queued"] == 0)

    status = gateway.until(is_in, f"{accepted} frames in the database")
    assert_balanced(status)
    return status


def numbers(database: Database) -> list[int]:
    """Return the grams of every dose in the table, in their order."""
    return [int(row[0]) for row in database.rows("SELECT actual_g::bigint FROM dosing_consumption ORDER BY 1")]
