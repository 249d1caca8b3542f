"""The servers of the tests themselves: a test that leans on them must know that they stand."""

from __future__ import annotations

import socket

import pytest

from servers import Influxd, Mosquitto, VictoriaMetrics, until


def test_mosquitto_listens_again_on_its_port_after_kill9(mosquitto: Mosquitto) -> None:
    """A killed broker comes back where clients look for it."""
    port = mosquitto.port

    mosquitto.kill9()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)
    mosquitto.restart()

    with socket.create_connection(("127.0.0.1", port), 1):
        assert mosquitto.port == port


def test_victoria_metrics_returns_an_old_point_once_though_it_was_sent_twice(victoria_metrics: VictoriaMetrics) -> None:
    """Retention and deduplication are set as the end-to-end tests need them."""
    path, line = "/api/v2/write?org=o&bucket=b&precision=ns", b"temperature,node=node1 value=27.6 1672867882000000000"

    statuses = [victoria_metrics.post(path, line), victoria_metrics.post(path, line)]

    assert statuses == [204, 204]
    until(lambda: victoria_metrics.export("temperature_value").count(b"27.6") == 1, "the point")


def test_influxd_returns_a_point_that_was_written(influxd: Influxd) -> None:
    """The strict database takes a line and gives it back."""
    influxd.post("/write?db=telemetry&precision=ns", b"temperature,node=node1 value=27.6 1672867882000000000")

    assert b"[1672867882000000000,27.6]" in influxd.query("SELECT value FROM temperature", "telemetry")
