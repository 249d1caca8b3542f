"""scripts/backup.sh with a running gateway and a real PostgreSQL: what it takes along, what it restores and counts, and what it deletes."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gateways import Gateway
from plants import Plant
from rows import configure, delivered, start
from servers import Postgres, find_program, until

pytestmark = [pytest.mark.slow, pytest.mark.servers]

SCRIPT = Path(__file__).parent.parent.parent / "scripts" / "backup.sh"
INFLUX = """#!/bin/sh
[ "$1" = backup ] || exit 2
mkdir -p "$2"
printf 'shard' >"$2/20260504T000000Z.1.tar.gz"
printf '{"kv": {"fileName": "20260504T000000Z.1.tar.gz", "size": %s}}' "${SIZE:-5}" >"$2/20260504T000000Z.manifest"
"""
LOSING = """#!/bin/sh
# Restores everything but a table.
{pg_restore} "$@" || exit
for word; do
    case $word in --dbname=*) exec psql -Xq -d "${{word#--dbname=}}" -c "DROP TABLE plant.shifts" ;; esac
done
"""
DOCKER = """#!/usr/bin/env bash
# Stands in for `docker compose` with one machine for all containers; paths of the gateway's lie below $STAND_IN.
set -euo pipefail
[ "$1 $2" = "compose --project-directory" ] || exit 2
shift 3
mapped=("${@//\\/backups/$STAND_IN/backups}")
mapped=("${mapped[@]//\\/etc\\/iiot-gateway\\/config.toml/$STAND_IN/config.toml}")
set -- "${mapped[@]}"
case $1 in
config) printf '%s\\n' gateway-factory-timescale mosquitto ${WANTED:-} ;;
ps) [ -z "${AWAY:-}" ] || exit 1; printf 'gateway-factory-timescale\\n' ;;
cp) cp -a "${2#*:}" "$3" ;;
exec) shift 3; exec "$@" ;;
*) exit 2 ;;
esac
"""


def program(path: Path, text: str) -> None:
    """Write a program."""
    path.write_text(text)
    path.chmod(0o755)


def run(folder: Path, bin_folder: Path, keep: int = 3, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the script."""
    psql = find_program("pg_dump")
    assert psql is not None
    path = f"{bin_folder}:{Path(psql).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **variables}
    return subprocess.run([SCRIPT, folder, str(keep)], env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def bin_folder(tmp_path: Path) -> Path:
    """A folder on the path with the gateway's program, and a scripted `influx`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program(folder / "iiot-gateway", f'#!/bin/sh\nexec {sys.executable} -m iiot_gateway "$@"\n')
    program(folder / "influx", INFLUX)
    return folder


def test_everything_is_backed_up_restored_for_a_trial_and_counted(
    gateway: Gateway, plant: Plant, launch: Callable[..., Postgres], tmp_path: Path, bin_folder: Path
) -> None:
    """Rows are counted in a database that was restored, and only the newest backups stay."""
    database = launch(Postgres)
    configure(gateway, plant.broker, database.url)
    start(gateway)
    plant.doses(range(100))
    delivered(gateway, 100)
    grafana = tmp_path / "grafana"
    grafana.mkdir()
    with closing(sqlite3.connect(grafana / "grafana.db")) as db, db:
        db.execute("CREATE TABLE dashboard(title)")
    database.rows("CREATE SCHEMA plant; CREATE TABLE plant.shifts(n int); INSERT INTO plant.shifts VALUES (1), (2)")
    folder = tmp_path / "backups"
    (folder / "2020-01-01T000000Z").mkdir(parents=True)
    (folder / "2020-01-02T000000Z.partial").mkdir()
    (folder / "mine").mkdir()
    variables = {"IIOT_CONFIG": str(gateway.config), "BACKUP_POSTGRES": database.url, "INFLUX_TOKEN": "t", "GRAFANA_DATA": str(grafana)}

    done = run(folder, bin_folder, keep=1, **variables)

    assert done.returncode == 0, done.stderr
    assert "postgresql: dosing_consumption: 100 rows restored" in done.stdout
    assert "postgresql: plant.shifts: 2 rows restored" in done.stdout
    assert "restored and opened: 100 frames accepted" in done.stdout
    assert "influxdb: 1 files" in done.stdout
    (backup,) = (path for path in folder.iterdir() if path.name.startswith("20"))
    assert sorted(path.name for path in folder.iterdir() if path.name != ".lock") == [backup.name, "mine"]
    assert sorted(path.name for path in backup.iterdir()) == ["gateway", "grafana", "influxdb", "postgresql.dump"]
    assert backup.stat().st_mode & 0o077 == 0
    assert database.rows("SELECT datname FROM pg_database WHERE datname LIKE 'iiot_verify%'") == []

    # What is not whole is no backup, and costs none that is there.
    broken = run(folder, bin_folder, keep=1, **variables, SIZE="6")
    assert broken.returncode == 1
    assert "the backup of InfluxDB is not whole" in broken.stderr
    program(bin_folder / "pg_restore", LOSING.format(pg_restore=find_program("pg_restore")))
    lost = run(folder, bin_folder, keep=1, **variables)
    assert lost.returncode == 1
    assert "missing in the restored copy: plant.shifts" in lost.stderr
    (bin_folder / "pg_restore").unlink()
    away = run(folder, bin_folder, keep=1, **{**variables, "IIOT_CONFIG": str(tmp_path / "nothing.toml")})
    assert (away.returncode, "IIOT_CONFIG" in away.stderr) == (1, True), away
    assert sorted(path.name for path in folder.iterdir() if path.name != ".lock") == [backup.name, "mine"]


def test_two_at_once_are_refused(gateway: Gateway, tmp_path: Path, bin_folder: Path) -> None:
    """One holds the folder."""
    folder = tmp_path / "backups"
    folder.mkdir()
    holding = subprocess.Popen(["flock", folder / ".lock", "sh", "-c", f"touch {tmp_path}/held; cat"], stdin=subprocess.PIPE)
    try:
        until((tmp_path / "held").exists, "the lock")
        refused = run(folder, bin_folder, IIOT_CONFIG=str(gateway.config))
    finally:
        holding.communicate()

    assert refused.returncode == 1
    assert "another backup" in refused.stderr


def test_containers_are_backed_up_through_compose(gateway: Gateway, plant: Plant, tmp_path: Path, bin_folder: Path) -> None:
    """The gateway's container makes and tries the backup, which is copied out and deleted there."""
    gateway.configure(f'[mqtt_consumer]\nbroker_url = "{plant.broker.url}"\ntopics = ["factory/#"]\nprofile = "factory-dosing"')
    gateway.start("run")
    gateway.until(lambda status: status["source"]["mqtt_consumer"]["state"] == "subscribed", "the subscription")
    (gateway.folder / "backups").mkdir()
    program(bin_folder / "docker", DOCKER)

    done = run(tmp_path / "copies", bin_folder, BACKUP_COMPOSE=str(tmp_path), STAND_IN=str(gateway.folder))

    assert done.returncode == 0, done.stderr
    (backup,) = (tmp_path / "copies").glob("20*")
    assert (backup / "gateway" / "manifest.json").exists()
    assert list((gateway.folder / "backups").iterdir()) == []
    variables = {"BACKUP_COMPOSE": str(tmp_path), "STAND_IN": str(gateway.folder)}
    # A database that stands still, or a Docker that does not answer, is no reason for a backup that looks whole and has no database.
    stopped = run(tmp_path / "copies", bin_folder, WANTED="influxdb", **variables)
    assert (stopped.returncode, "influxdb does not run" in stopped.stderr) == (1, True), stopped
    away = run(tmp_path / "copies", bin_folder, AWAY="1", **variables)
    assert (away.returncode, "docker compose does not answer" in away.stderr) == (1, True), away
    program(bin_folder / "iiot-gateway", "#!/bin/sh\nexit 1\n")
    assert run(tmp_path / "copies", bin_folder, **variables).returncode == 1
    assert [path.name for path in (tmp_path / "copies").glob("20*")] == [backup.name]
    shutil.rmtree(backup)
