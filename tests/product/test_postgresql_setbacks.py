"""A journal or a database that is put back to an earlier state, seen through the whole gateway: nothing is skipped silently."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from gateways import Gateway
from plants import Plant
from replicas import REPLICATION, Standby
from rows import configure, delivered, numbers, sink_of, start
from servers import Postgres, find_program

pytestmark = pytest.mark.slow


@pytest.fixture
def database(launch: Callable[..., Postgres]) -> Postgres:
    """A server that a replica may follow."""
    return launch(Postgres, access=REPLICATION)


def told(gateway: Gateway) -> list[dict[str, Any]]:
    """Return what the log says of rows that were lost on either side."""
    return [json.loads(line) for line in gateway.log().splitlines() if '"sink_lost_by_peer"' in line]


def take_dump(database: Postgres) -> str:
    """Return the database as statements."""
    program = find_program("pg_dump")
    assert program is not None
    return subprocess.run([program, "--clean", "--if-exists", "-d", database.url], capture_output=True, text=True, check=True).stdout


def restore(database: Postgres, dump: str) -> None:
    """Put the database back as it was, as psql does with a dump."""
    program = find_program("psql")
    assert program is not None
    subprocess.run([program, "-Xq", "-v", "ON_ERROR_STOP=1", "-d", database.url], input=dump, capture_output=True, text=True, check=True)


def test_a_journal_that_lost_its_end_goes_on_there(gateway: Gateway, plant: Plant, database: Postgres) -> None:
    """As after a loss of power: the rows are in, the frames are gone, and what comes next is written all the same and once."""
    configure(gateway, plant.broker, database.url)
    start(gateway)
    plant.doses(range(100))
    delivered(gateway, 100)
    assert gateway.process is not None
    names = [gateway.journal, gateway.journal.with_name(gateway.journal.name + "-wal")]
    gateway.process.send_signal(19)  # SIGSTOP: both files are copied as of one moment, in the middle of a run
    for name in names:
        shutil.copy(name, f"{name}.earlier")
    gateway.process.send_signal(18)
    plant.doses(range(100, 150))
    delivered(gateway, 150)
    # In order, so that the broker has all acknowledgements; a loss of power leaves no frame out that was acknowledged.
    assert gateway.stop() == 0
    for name in names:
        shutil.copy(f"{name}.earlier", name)
    gateway.journal.with_name(gateway.journal.name + "-shm").unlink(missing_ok=True)

    start(gateway)
    plant.doses(range(150, 180))
    status = delivered(gateway, 130)

    assert numbers(database) == list(range(180))
    assert sink_of(status)["delivered"] == 130
    (line,) = told(gateway)
    assert (line["at"], line["frames"], line["level"]) == ("journal", 50, "warning")
    assert gateway.stop() == 0


def test_a_restored_database_gets_what_the_journal_still_has(gateway: Gateway, plant: Plant, database: Postgres) -> None:
    """Each row is there once, though the restored position is behind; the log says that rows were sent again."""
    configure(gateway, plant.broker, database.url)
    start(gateway)
    plant.doses(range(100))
    delivered(gateway, 100)
    dump = take_dump(database)
    plant.doses(range(100, 160))
    delivered(gateway, 160)
    assert gateway.stop() == 0
    restore(database, dump)
    assert numbers(database) == list(range(100))

    start(gateway)
    plant.doses(range(160, 200))
    status = delivered(gateway, 200)

    assert numbers(database) == list(range(200))
    assert (sink_of(status)["delivered"], sink_of(status)["lost_by_peer"]) == (200, 0)
    (line,) = told(gateway)
    assert (line["frames"], line["level"]) == (0, "warning")
    assert gateway.stop() == 0


def test_an_older_backup_is_said_to_have_lost_what_the_journal_has_no_more(gateway: Gateway, plant: Plant, database: Postgres) -> None:
    """The frames are pruned a minute after their confirmation; they are counted, their range is logged, and the sink goes on."""
    configure(gateway, plant.broker, database.url)
    start(gateway)
    plant.doses(range(100))
    delivered(gateway, 100)
    dump = take_dump(database)
    plant.doses(range(100, 160))
    delivered(gateway, 160)
    gateway.until(lambda status: status["journal"]["frames"] == 0, "a journal that has pruned what is confirmed", 120)
    assert gateway.stop() == 0
    restore(database, dump)

    start(gateway)
    plant.doses(range(160, 200))
    status = delivered(gateway, 200)

    assert numbers(database) == [*range(100), *range(160, 200)]
    assert sink_of(status)["lost_by_peer"] == 60
    (line,) = told(gateway)
    assert (line["frames"], line["end"] - line["first"], line["level"]) == (60, 60, "error")
    assert gateway.stop() == 0


def test_a_replica_that_was_behind_takes_over(gateway: Gateway, plant: Plant, database: Postgres) -> None:
    """It is found by its place in the URL, and gets what it had not seen; as long as it only reads, the rows wait."""
    configure(gateway, plant.broker, database.url)
    with Standby(database) as standby:
        configure(gateway, plant.broker, f"postgresql://postgres@127.0.0.1:{database.port},127.0.0.1:{standby.port}/postgres")
        start(gateway)
        plant.doses(range(100))
        delivered(gateway, 100)
        standby.wait_until_level()
        standby.stop()
        plant.doses(range(100, 150))
        delivered(gateway, 150)
        database.crash()
        standby.start()
        plant.doses(range(150, 160))
        waiting = gateway.until(
            lambda status: sink_of(status)["queued"] == 10 and "does not allow writes" in str(sink_of(status)["last_error"]), "waiting"
        )
        assert sink_of(waiting)["state"] != "connected"
        assert len(numbers(standby)) == 100

        standby.promote()
        plant.doses(range(160, 200))
        status = delivered(gateway, 200)

        assert numbers(standby) == list(range(200))
        assert (sink_of(status)["delivered"], sink_of(status)["lost_by_peer"]) == (200, 0)
        (line,) = told(gateway)
        assert (line["frames"], line["level"]) == (0, "warning")
        assert gateway.stop() == 0
