"""Posts that are killed in between: what was answered is in the database once; what was not is there once or not at all."""

from __future__ import annotations

import http.client
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from fleets import Fleet
from gateways import assert_balanced
from servers import Postgres

pytestmark = [pytest.mark.native, pytest.mark.servers, pytest.mark.slow]

CLIENTS = int(os.environ.get("IIOT_STORM_CLIENTS", "20"))
KILLS = int(os.environ.get("IIOT_STORM_KILLS", "8"))
POSTS_PER_S = 1000.0
LONG_AGO = 1_700_000_000


class Device(threading.Thread):
    """Posts numbers, one after the other, each until it is answered."""

    def __init__(self, fleet: Fleet, name: str, key: str, stopping: threading.Event) -> None:
        super().__init__(name=name)
        self.fleet = fleet
        self.key = key
        self.stopping = stopping
        self.answered: list[int] = []
        self.tries = 0
        self.odd: list[tuple[int, bytes]] = []

    def run(self) -> None:
        """Post until told to stop; the last one is answered too."""
        number = 0
        while not self.stopping.is_set():
            number += 1
            self.post(number)
            time.sleep(random.uniform(0.5, 1.5) * CLIENTS / POSTS_PER_S)

    def post(self, number: int) -> None:
        """Send a number until it is answered; every other one is known by its time, the others by a message id."""
        identity = f'"message_id":"{self.name}-{number}"' if number % 2 else f'"timestamp":{LONG_AGO + number}'
        body = f'{{"measurement":"numbers","fields":{{"n":{number}}},{identity}}}'.encode()
        connection: http.client.HTTPConnection | None = None
        while True:
            self.tries += 1
            connection = connection or self.fleet.connect()
            try:
                connection.request("POST", "/api/v1/influxdb/telemetry", body, {"X-API-Key": self.key, "Content-Type": "application/json"})
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = None
                time.sleep(0.02)
                continue
            if answer.status == 201:
                self.answered.append(number)
                connection.close()
                return
            if answer.status != 503:
                self.odd.append((answer.status, content))
            time.sleep(0.02)


def test_each_answered_post_is_in_the_database_once_over_kills(tmp_path: Path, launch: Callable[..., Postgres]) -> None:
    """Whenever the process dies: before the journal, between the journal and the answer, behind the answer."""
    database = launch(Postgres)
    free = "requests_per_minute = 0\npoints_per_minute = 0\naddress_requests_per_minute = 0"
    fleet = Fleet(tmp_path / "gateway", devices=free, sections=f'[postgresql]\nurl = "{database.url}"\nbatch_interval_ms = 10')
    stopping = threading.Event()
    devices = [Device(fleet, f"d{number}", fleet.add(f"d{number}"), stopping) for number in range(CLIENTS)]
    fleet.begin()
    try:
        for device in devices:
            device.start()
        for _ in range(KILLS):
            answered = sum(len(device.answered) for device in devices)
            fleet.until(
                lambda _status, answered=answered: (
                    sum(len(device.answered) for device in devices) > answered + random.randint(CLIENTS, 4 * CLIENTS)
                ),
                "more answers",
            )
            fleet.kill9()
            fleet.begin()
        stopping.set()
        for device in devices:
            device.join(60)
            assert not device.is_alive()
        status = fleet.until(lambda found: found["sinks"]["postgresql"]["queued"] == 0, "everything in the database")
    finally:
        stopping.set()
        with suppress(OSError):
            fleet.begin() if fleet.process is None else None
        for device in devices:
            device.join(60)
        fleet.end()

    assert_balanced(status)
    assert [device.odd for device in devices if device.odd] == []
    found = Counter((row[0], int(float(row[1]))) for row in database.rows("SELECT device_id, n FROM numbers"))
    sent = {(device.name, number) for device in devices for number in device.answered}
    assert {key: count for key, count in found.items() if count > 1} == {}
    assert sent - found.keys() == set()
    assert found.keys() - sent == set(), "every number is sent until it is answered"
    answered, tries = len(sent), sum(device.tries for device in devices)
    print(f"{answered} posts answered in {tries} tries over {KILLS} kills; duplicates recognised: {status['intake']['duplicate']}")
    assert tries > answered
