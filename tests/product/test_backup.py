"""A backup beside the running gateway holds one moment of it, and a gateway goes on from there; what is cut off is known as such."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from backups import PARTIAL, Load, backed_up, ledger_of, numbers_of, restored
from device_clients import Client
from disks import fill
from fleets import Fleet
from gateways import assert_balanced
from servers import until

pytestmark = [pytest.mark.slow, pytest.mark.servers]


def other_client(site: Fleet) -> Client:
    """Return a client of the built-in broker that is no device, once the broker listens."""
    site.until(lambda status: status["sinks"]["mqtt"]["state"] == "connected", "the built-in broker")
    port = int(re.search(r"listen = \"127.0.0.1:(\d+)\"\nusername", site.config.read_text())[1])  # type: ignore[index]
    return Client(port, "plant", "p", "other", "5")


def test_a_backup_under_load_in_an_empty_folder_goes_on_where_it_was_made(site: Fleet, tmp_path: Path) -> None:
    """The ledger balances, the history is equal up to that moment, and keys work."""
    key = site.add("d1")
    site.begin()
    load = Load(site, key)
    load.start()
    backup = tmp_path / "backup"
    try:
        load.until(300)
        before = load.answered
        backed_up(site, backup)
        behind = load.answered
        load.until(behind + 50)
    finally:
        load.stop()
    site.until(lambda status: status["sinks"]["history"]["queued"] == 0, "the history")
    site.stop()
    original = numbers_of(site.folder / "history.db")
    print(f"{behind - before} posts answered during the backup, the slowest within {load.slowest_s * 1000:.0f} ms")
    assert behind > before
    copied = ledger_of(backup)["intake"]["accepted"]
    assert before <= copied <= behind

    into = tmp_path / "restored"
    said = restored(site, backup, "--into", str(into))
    assert "frames that waited for a sink at that time are sent again" in said
    secret = [Path(file["path"]).name for file in json.loads((backup / "manifest.json").read_text())["files"] if file["is_secret"]]
    assert sorted(secret) == ["config.toml", "iiot-devices.db", "token"]
    names = ["config.toml", "history.db", "iiot-broker.db", "iiot-devices.db", "journal.db", "token"]
    assert sorted(path.name for path in into.iterdir() if path.suffix != ".lock") == names
    assert all(path.stat().st_mode & 0o077 == 0 for path in backup.rglob("*"))
    # Its configuration names the journal by its whole path.
    config = (into / "config.toml").read_text().replace(str(site.folder), str(into))
    (into / "config.toml").write_text(config)
    site.folder, site.config, site.journal, site.log_path = (
        into,
        into / "config.toml",
        into / "journal.db",
        into / "gateway.log",
    )
    site.begin()
    status = site.until(lambda status: status["sinks"]["history"]["queued"] == 0, "the history")

    assert_balanced(status)
    assert "journal_restored: it is a copy of" in site.log()
    assert status["intake"]["accepted"] >= copied
    assert status["sinks"]["influxdb"]["queued"] == status["sinks"]["influxdb"]["accepted"]
    held = numbers_of(into / "history.db")
    assert before <= len(held) <= behind
    assert held == original[: len(held)]
    code, answer = site.call(
        "POST", "/api/v1/influxdb/telemetry", key, {"measurement": "numbers", "fields": {"n": 0}, "message_id": "behind"}
    )
    assert code == 201, answer


def test_a_gateway_that_is_killed_leaves_no_backup_and_loses_nothing(site: Fleet, tmp_path: Path) -> None:
    """The command says so and cleans up; the next backup is whole."""
    key = site.add("d1")
    site.begin()
    load = Load(site, key)
    load.start()
    load.until(2000)
    load.stop()
    backup = tmp_path / "backup"
    copy = tmp_path / f"backup{PARTIAL}" / "data" / "journal.db"
    for _ in range(20):
        command = subprocess.Popen(site.command("backup", str(backup)), cwd=site.folder, stderr=subprocess.PIPE, text=True)
        while not copy.exists() and command.poll() is None:
            pass
        site.kill9()
        _, said = command.communicate(timeout=20)
        if command.returncode:
            break
        # The copies were made before the gateway could be killed.
        shutil.rmtree(backup)
        site.begin()

    assert command.returncode == 1
    assert "the gateway ended while it made the copies" in said
    assert list(tmp_path.glob("backup*")) == []
    site.begin()
    status = site.ask()
    assert_balanced(status)
    # Beside the numbers the gateway accepts what it says itself of the device.
    assert status["intake"]["accepted"] >= load.answered
    site.until(lambda status: status["sinks"]["history"]["queued"] == 0, "the history")
    assert len(numbers_of(site.folder / "history.db")) == load.answered
    backed_up(site, backup)


def test_a_command_that_is_killed_leaves_what_is_known_as_cut_off(site: Fleet, tmp_path: Path) -> None:
    """The folder has no name of a backup, and is neither verified nor restored; the gateway goes on."""
    site.begin()
    assert site.process is not None
    site.process.send_signal(signal.SIGSTOP)
    partial = tmp_path / f"backup{PARTIAL}"
    command = subprocess.Popen(site.command("backup", str(tmp_path / "backup")), cwd=site.folder)
    until((partial / "data").exists, "the folder")
    command.kill()
    command.wait()
    site.process.send_signal(signal.SIGCONT)

    assert not (tmp_path / "backup").exists()
    for words in (["backup", "verify"], ["restore"]):
        done = site.run(*words, str(partial))
        assert done.returncode == 1
        assert "cut off before its end" in done.stderr
    refused = site.run("backup", str(tmp_path / "backup"))
    assert refused.returncode == 1
    assert f"{partial} is there already" in refused.stderr
    shutil.rmtree(partial)

    def backs_up() -> bool:
        return site.run("backup", str(tmp_path / "backup")).returncode == 0

    # Once the gateway has ended what nobody asks for any more.
    until(backs_up, "a backup")
    assert site.run("backup", "verify", str(tmp_path / "backup")).returncode == 0


def test_a_full_disk_costs_the_backup_alone(site: Fleet, small_disk: Path) -> None:
    """Posts are answered meanwhile and after it; the room is given back."""
    key = site.add("d1")
    site.begin()
    load = Load(site, key)
    load.start()
    try:
        load.until(500)
        fill(small_disk / "others")
        os.truncate(small_disk / "others", (small_disk / "others").stat().st_size - 200_000)
        done = site.run("backup", str(small_disk / "backup"))
        load.until(load.answered + 100)
    finally:
        load.stop()

    assert done.returncode == 1
    assert "full" in done.stderr or "No space left" in done.stderr
    assert [path.name for path in small_disk.iterdir()] == ["others"]
    status = site.ask()
    assert_balanced(status)
    assert status["intake"]["accepted"] >= load.answered
    assert status["journal"]["stalled"] is None


def test_what_is_there_is_not_written_over(site: Fleet, tmp_path: Path) -> None:
    """A restore is refused while the gateway runs, then names the files in the way, then moves them aside."""
    key = site.add("d1")
    site.begin()
    backup = tmp_path / "backup"
    backed_up(site, backup)
    running = site.run("restore", str(backup), "--replace")
    assert running.returncode == 1
    assert "a running iiot-gateway has" in running.stderr
    load = Load(site, key)
    load.start()
    load.until(10)
    load.stop()
    site.stop()
    journal = site.journal.read_bytes()

    refused = site.run("restore", str(backup))
    assert refused.returncode == 1
    assert f"  {site.journal}\n" in refused.stderr
    assert str(site.config) not in refused.stderr, "it is as it was"
    assert site.journal.read_bytes() == journal
    said = restored(site, backup, "--replace")
    assert f"left as it is, because it is the same: {site.config}" in said
    (aside,) = site.folder.glob("journal.db.replaced-*[0-9]")
    assert aside.read_bytes() == journal
    site.begin()
    assert site.ask()["intake"]["accepted"] < load.answered


def test_retained_values_of_others_come_back(site: Fleet, tmp_path: Path) -> None:
    """What another client retained at the built-in broker is there again, with the value of the backup's time."""
    site.begin()
    client = other_client(site)
    client.publish("line/speed", "1.50", retain=True)
    backed_up(site, tmp_path / "backup")
    client.publish("line/speed", "2.00", retain=True)
    client.stop()
    site.stop()

    restored(site, tmp_path / "backup", "--replace")
    site.begin()

    client = other_client(site)
    assert client.may_subscribe("line/#")
    until(lambda: client.messages == [("line/speed", b"1.50")], "the retained value")
    client.stop()


def test_no_device_gets_the_id_of_one_that_came_after_the_backup(site: Fleet, tmp_path: Path) -> None:
    """Its values may stand in a database, and would be taken for those of the new one."""

    def added(name: str) -> int:
        site.command_key("add", name, "--type", "sensor")
        (found,) = (device for device in json.loads(site.run("devices", "list", "--json").stdout) if device["name"] == name)
        return int(found["id"])

    site.begin()
    first = added("first")
    backed_up(site, tmp_path / "backup")
    lost = added("lost")
    site.stop()
    restored(site, tmp_path / "backup", "--replace")

    assert first < lost < added("new")


def test_a_stopped_gateway_is_backed_up_as_well(site: Fleet, tmp_path: Path) -> None:
    """Without a gateway the command copies the files itself, a log that was left behind with them."""
    key = site.add("d1")
    site.begin()
    load = Load(site, key)
    load.start()
    load.until(50)
    load.stop()
    site.kill9()
    before = site.status()["intake"]["accepted"]

    backed_up(site, tmp_path / "backup")

    assert ledger_of(tmp_path / "backup")["intake"]["accepted"] == before >= load.answered
    assert not json.loads((tmp_path / "backup" / "manifest.json").read_text())["from_running"]
    restored(site, tmp_path / "backup", "--into", str(tmp_path / "there"))
    assert (tmp_path / "there" / "journal.db").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_what_root_restores_belongs_to_the_gateways_user(site: Fleet, tmp_path: Path) -> None:
    """On a new machine nothing is there: the folder and the locks are made, and a gateway that is not root must be able to use them."""
    site.begin()
    site.stop()
    owner = 54321
    for path in (site.folder, *site.folder.iterdir()):
        os.chown(path, owner, owner)
    backed_up(site, tmp_path / "backup")
    assert {path.stat().st_uid for path in site.folder.iterdir()} == {owner}

    restored(site, tmp_path / "backup", "--into", str(tmp_path / "new" / "there"))

    made = [tmp_path / "new", *(tmp_path / "new").rglob("*")]
    assert {"there", "journal.db", "journal.db.lock", "history.db.lock"} <= {path.name for path in made}
    assert {path.name: path.stat().st_uid for path in made if path.stat().st_uid != owner} == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_the_gateways_user_writes_into_no_folder_that_root_writes_into(site: Fleet, tmp_path: Path) -> None:
    """It could lead root elsewhere by a link."""
    site.begin()
    for path in site.folder.glob("journal.db"):
        os.chown(path, 54321, 54321)
    backed_up(site, tmp_path / "backup")
    assert (tmp_path / "backup").stat().st_uid == 0
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "backup" / "data").stat().st_uid == 54321
