"""Numbered doses at full speed into PostgreSQL while everything breaks; scripts/soak.sh runs the long form.

The gateway is killed, its connections are ended (some within COMMIT), the server crashes, its disk runs full. At the end each number is a
row, once, in order per device, or one of the 30 % of one device that a constraint refuses: those are rejects, once each.
"""

from __future__ import annotations

import os
import random
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from disks import fill
from gateways import Gateway, assert_balanced
from plants import DEVICES, Plant
from rows import configure, numbers, sink_of, start
from servers import Postgres

pytestmark = pytest.mark.slow

SHORT = {"MESSAGES": 6_000, "KILLS": 5, "TERMINATIONS": 4, "CRASHES": 2, "FULL_DISKS": 1}
SOAK = {name: int(os.environ.get(f"IIOT_SOAK_{name}", short)) for name, short in SHORT.items()}
REFUSED_DEVICE = 1
DISK_MB = 400
END_GATEWAY = """\
CREATE FUNCTION end_gateway(within_commit boolean) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE until_ timestamptz := clock_timestamp() + interval '5 s'; ours integer;
BEGIN
    WHILE clock_timestamp() < until_ LOOP
        PERFORM pg_stat_clear_snapshot();
        SELECT pid INTO ours FROM pg_stat_activity
        WHERE application_name = 'iiot-gateway' AND (NOT within_commit OR (state = 'active' AND query = 'COMMIT'));
        IF FOUND THEN RETURN pg_terminate_backend(ours); END IF;
    END LOOP;
    RETURN false;
END $$"""


class SmallDisk(Postgres):
    """A server whose data lies on a file system of its own, which can be filled. A commit takes a while, so that it can be met."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        options = f"size={DISK_MB}m,mode=755"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)], capture_output=True, check=True)
        self.filler = self.folder / "filler"

    def command(self, program: str) -> list[str]:
        """Return the command line."""
        return [*super().command(program), "-c", "commit_delay=20000", "-c", "commit_siblings=0"]

    def stop(self) -> None:
        """End it, and give the file system back."""
        super().stop()
        subprocess.run(["umount", "-l", str(self.folder)], check=True)

    def is_running(self) -> bool:
        """Tell whether the process has survived."""
        return self.process is not None and self.process.poll() is None


@pytest.fixture
def database(launch: Callable[..., SmallDisk], small_disk: Path) -> SmallDisk:
    """A server with a small disk; `small_disk` says whether one can be mounted."""
    assert small_disk.is_dir()
    return launch(SmallDisk)


def is_refused(number: int) -> bool:
    """Tell whether the constraint refuses a dose: 30 % of one device's."""
    return number % DEVICES == REFUSED_DEVICE and number // DEVICES % 10 < 3


class Storm:
    """What is done to the gateway and to the server, and what came of it."""

    def __init__(self, gateway: Gateway, database: SmallDisk) -> None:
        self.gateway, self.database = gateway, database
        self.seen = {"kills": 0, "ended": 0, "ended within COMMIT": 0, "crashes": 0, "full disks": 0}

    def kill(self) -> None:
        """End the gateway as a loss of power would."""
        self.gateway.kill9()
        start(self.gateway)
        self.seen["kills"] += 1

    def terminate(self) -> None:
        """End the gateway's connection, in a COMMIT if one comes."""
        within_commit = self.database.value("SELECT end_gateway(true)") == "t"
        self.seen["ended within COMMIT"] += within_commit
        self.seen["ended"] += within_commit or self.database.value("SELECT end_gateway(false)") == "t"

    def crash(self) -> None:
        """End the server at once, and start it again."""
        self.database.crash()
        self.database.start()
        self.seen["crashes"] += 1

    def fill_disk(self) -> None:
        """Take all room."""
        fill(self.database.filler)

    def free_disk(self) -> None:
        """Wait until the sink has met the full disk; then give the room back."""
        self.gateway.until(lambda status: sink_of(status)["state"] != "connected", "a sink that has met the full disk", 120)
        self.database.filler.unlink()
        if not self.database.is_running():  # it ends itself if it cannot write its log
            self.database.kill9()
            self.database.start()
        self.seen["full disks"] += 1

    def events(self) -> list[Callable[[], None]]:
        """Return what is to be done, in an order that does not change."""
        wanted = {"KILLS": self.kill, "TERMINATIONS": self.terminate, "CRASHES": self.crash, "FULL_DISKS": self.free_disk}
        events = [event for name, event in wanted.items() for _ in range(SOAK[name])]
        random.Random(13).shuffle(events)
        return events


def test_a_storm_loses_and_doubles_nothing(gateway: Gateway, plant: Plant, database: SmallDisk) -> None:
    """Each number is a row or a reject, once, in order per device; the ledger balances."""
    configure(gateway, plant.broker, database.url, "batch_rows = 500")
    start(gateway)
    plant.doses(range(1))
    gateway.until(lambda status: sink_of(status)["delivered"] == 1, "the first row")
    database.rows(END_GATEWAY)
    refuses = f"device_id <> 'd{REFUSED_DEVICE}' OR actual_g::bigint / {DEVICES} % 10 >= 3"
    database.rows(f"ALTER TABLE dosing_consumption ADD CONSTRAINT plausible CHECK ({refuses})")
    storm = Storm(gateway, database)
    events = storm.events()
    messages, parts = SOAK["MESSAGES"], len(events) + 1
    bounds = [max(1, messages * part // parts) for part in range(parts + 1)]

    for part, event in enumerate([*events, lambda: None]):
        if event == storm.free_disk:
            storm.fill_disk()  # before its doses, so that some find no room
        half = (bounds[part] + bounds[part + 1]) // 2
        plant.doses(range(bounds[part], half), 120.0)
        # The others come while it happens, one by one: so there are commits for `terminate` to meet.
        is_over = threading.Event()
        rest = threading.Thread(target=plant.doses, args=(range(half, bounds[part + 1]), 120.0, is_over))
        rest.start()
        try:
            event()
        finally:
            is_over.set()
            rest.join()

    def is_in(status: dict[str, Any]) -> bool:
        return bool(status["intake"]["accepted"] >= messages and sink_of(status)["queued"] == 0)

    status = gateway.until(is_in, "all rows", 600)
    assert_balanced(status)
    refused = [number for number in range(1, messages) if is_refused(number)]
    assert numbers(database) == sorted(set(range(messages)) - set(refused))
    assert (sink_of(status)["delivered"], sink_of(status)["rejected"]) == (messages - len(refused), len(refused))
    assert status["intake"]["accepted"] == messages
    rejected = [reject["excerpt"] for reject in gateway.ask("rejects", limit=messages)]
    assert len(rejected) == len(set(rejected)) == len(refused)
    in_order = "SELECT string_agg(actual_g::bigint::text, ',' ORDER BY time) FROM dosing_consumption GROUP BY device_id"
    for (found,) in database.rows(in_order):
        assert [int(number) for number in found.split(",")] == sorted(int(number) for number in found.split(","))
    assert [storm.seen[name] for name in ("kills", "ended", "crashes", "full disks")] == [
        SOAK[name] for name in ("KILLS", "TERMINATIONS", "CRASHES", "FULL_DISKS")
    ]
    assert storm.seen["ended within COMMIT"] > 0
    print(f"{messages} messages, {len(refused)} refused, {storm.seen}")
    assert gateway.stop() == 0
