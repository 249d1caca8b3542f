"""A backup beside the running gateway holds one moment of it, and a gateway goes on from there; what is cut off is known as such."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device_clients import Client
from disks import fill
from fleets import HOUR, Fleet
from gateways import Gateway, assert_balanced
from iiot_gateway._native import HistoryReader
from servers import free_port, until

pytestmark = pytest.mark.slow

ALWAYS = 2**63 - 1
PARTIAL = ".partial"


class Load(threading.Thread):
    """A device that posts numbers, each until it is answered, as fast as it can."""

    def __init__(self, fleet: Fleet, key: str) -> None:
        super().__init__()
        self.fleet = fleet
        self.key = key
        self.answered = 0
        self.slowest_s = 0.0
        self.stopping = threading.Event()

    def run(self) -> None:
        """Post until told to stop."""
        connection = self.fleet.connect()
        while not self.stopping.is_set():
            number = self.answered + 1
            at = f"{HOUR}:{number // 60 % 60:02d}:{number % 60:02d}.{number // 3600:03d}Z"
            body = {"measurement": "numbers", "fields": {"n": number}, "timestamp": at, "message_id": str(number)}
            began_s = time.monotonic()
            status, answer = self.fleet.call("POST", "/api/v1/influxdb/telemetry", self.key, body, connection)
            self.slowest_s = max(self.slowest_s, time.monotonic() - began_s)
            assert status == 201, answer
            self.answered = number
        connection.close()

    def until(self, answered: int) -> None:
        """Wait until so many numbers are answered."""
        until(lambda: self.answered >= answered or not self.is_alive(), f"{answered} answers")
        assert self.is_alive()

    def stop(self) -> None:
        """End it."""
        self.stopping.set()
        self.join()


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """A gateway with a registry, a history, retained values of others, and a database that is away, so that all frames are queued."""
    free = "requests_per_minute = 0\npoints_per_minute = 0\naddress_requests_per_minute = 0"
    sections = (
        '[history]\npath = "history.db"\ncommit_interval_ms = 10\n'
        f'[influxdb]\nurl = "http://127.0.0.1:{free_port()}"\norg = "o"\nbucket = "b"\ntoken_file = "token"\n'
        f'[mqtt]\nbroker_url = "embedded"\n[broker]\nlisten = "127.0.0.1:{free_port()}"\nusername = "plant"\npassword = "p"\n'
    )
    fleet = Fleet(tmp_path / "gateway", devices=free, sections=sections)
    (fleet.folder / "token").write_text("secret\n")
    yield fleet
    fleet.end()


def other_client(fleet: Fleet) -> Client:
    """Return a client of the built-in broker that is no device, once the broker listens."""
    fleet.until(lambda status: status["sinks"]["mqtt"]["state"] == "connected", "the built-in broker")
    port = int(re.search(r"listen = \"127.0.0.1:(\d+)\"\nusername", fleet.config.read_text())[1])  # type: ignore[index]
    return Client(port, "plant", "p", "other", "5")


def numbers_of(history: Path) -> list[tuple[int, str]]:
    """Return times and texts of the series `n` in a history."""
    reader = HistoryReader(str(history))
    (series,) = (found for found in reader.series() if found["measurement"] == "numbers")
    times, texts = reader.texts(series["id"], -ALWAYS, ALWAYS, limit=1_000_000)
    reader.close()
    return list(zip(times, texts, strict=True))


def ledger_of(backup: Path) -> dict[str, dict[str, int]]:
    """Return the counts of the intake, and of each sink, that a manifest holds."""
    ledger = json.loads((backup / "manifest.json").read_text())["ledger"]
    return {"intake": ledger["intake"], **ledger["sinks"]}


def backed_up(gateway: Gateway, backup: Path) -> None:
    """Make a backup, and verify it."""
    done = gateway.run("backup", str(backup))
    assert done.returncode == 0, done.stderr
    verified = gateway.run("backup", "verify", str(backup))
    assert verified.returncode == 0, verified.stderr


def restored(gateway: Gateway, backup: Path, *arguments: str) -> str:
    """Put a backup back, and return what was said."""
    done = gateway.run("restore", str(backup), *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_backup_under_load_in_an_empty_folder_goes_on_where_it_was_made(fleet: Fleet, tmp_path: Path) -> None:
    """The ledger balances, the history is equal up to that moment, and keys work."""
    key = fleet.add("d1")
    fleet.begin()
    load = Load(fleet, key)
    load.start()
    backup = tmp_path / "backup"
    try:
        load.until(300)
        before = load.answered
        backed_up(fleet, backup)
        behind = load.answered
        load.until(behind + 50)
    finally:
        load.stop()
    fleet.until(lambda status: status["sinks"]["history"]["queued"] == 0, "the history")
    fleet.stop()
    original = numbers_of(fleet.folder / "history.db")
    print(f"{behind - before} posts answered during the backup, the slowest within {load.slowest_s * 1000:.0f} ms")
    assert behind > before
    copied = ledger_of(backup)["intake"]["accepted"]
    assert before <= copied <= behind

    into = tmp_path / "restored"
    said = restored(fleet, backup, "--into", str(into))
    assert "frames that waited for a sink at that time are sent again" in said
    secret = [Path(file["path"]).name for file in json.loads((backup / "manifest.json").read_text())["files"] if file["is_secret"]]
    assert sorted(secret) == ["config.toml", "iiot-devices.db", "token"]
    names = ["config.toml", "history.db", "iiot-broker.db", "iiot-devices.db", "journal.db", "token"]
    assert sorted(path.name for path in into.iterdir() if path.suffix != ".lock") == names
    assert all(path.stat().st_mode & 0o077 == 0 for path in backup.rglob("*"))
    # Its configuration names the journal by its whole path.
    config = (into / "config.toml").read_text().replace(str(fleet.folder), str(into))
    (into / "config.toml").write_text(config)
    fleet.folder, fleet.config, fleet.journal, fleet.log_path = into, into / "config.toml", into / "journal.db", into / "gateway.log"
    fleet.begin()
    status = fleet.until(lambda status: status["sinks"]["history"]["queued"] == 0, "the history")

    assert_balanced(status)
    assert "journal_restored: it is a copy of" in fleet.log()
    assert status["intake"]["accepted"] >= copied
    assert status["sinks"]["influxdb"]["queued"] == status["sinks"]["influxdb"]["accepted"]
    held = numbers_of(into / "history.db")
    assert before <= len(held) <= behind
    assert held == original[: len(held)]
    code, answer = fleet.call(
        "POST", "/api/v1/influxdb/telemetry", key, {"measurement": "numbers", "fields": {"n": 0}, "message_id": "behind"}
    )
    assert code == 201, answer


def test_a_gateway_that_is_killed_leaves_no_backup_and_loses_nothing(fleet: Fleet, tmp_path: Path) -> None:
    """The command says so and cleans up; the next backup is whole."""
    key = fleet.add("d1")
    fleet.begin()
    load = Load(fleet, key)
    load.start()
    load.until(2000)
    load.stop()
    backup = tmp_path / "backup"
    command = subprocess.Popen(fleet.command("backup", str(backup)), cwd=fleet.folder, stderr=subprocess.PIPE, text=True)
    copy = tmp_path / f"backup{PARTIAL}" / "data" / "journal.db"
    until(copy.exists, "the copy's beginning")
    fleet.kill9()
    _, said = command.communicate(timeout=20)

    assert command.returncode == 1
    assert "the gateway ended while it made the copies" in said
    assert list(tmp_path.glob("backup*")) == []
    fleet.begin()
    status = fleet.ask()
    assert_balanced(status)
    # Beside the numbers the gateway accepts what it says itself of the device.
    assert status["intake"]["accepted"] >= load.answered
    fleet.until(lambda status: status["sinks"]["history"]["queued"] == 0, "the history")
    assert len(numbers_of(fleet.folder / "history.db")) == load.answered
    backed_up(fleet, backup)


def test_a_command_that_is_killed_leaves_what_is_known_as_cut_off(fleet: Fleet, tmp_path: Path) -> None:
    """The folder has no name of a backup, and is neither verified nor restored; the gateway goes on."""
    fleet.begin()
    assert fleet.process is not None
    fleet.process.send_signal(signal.SIGSTOP)
    partial = tmp_path / f"backup{PARTIAL}"
    command = subprocess.Popen(fleet.command("backup", str(tmp_path / "backup")), cwd=fleet.folder)
    until((partial / "data").exists, "the folder")
    command.kill()
    command.wait()
    fleet.process.send_signal(signal.SIGCONT)

    assert not (tmp_path / "backup").exists()
    for words in (["backup", "verify"], ["restore"]):
        done = fleet.run(*words, str(partial))
        assert done.returncode == 1
        assert "cut off before its end" in done.stderr
    refused = fleet.run("backup", str(tmp_path / "backup"))
    assert refused.returncode == 1
    assert f"{partial} is there already" in refused.stderr
    shutil.rmtree(partial)

    def backs_up() -> bool:
        return fleet.run("backup", str(tmp_path / "backup")).returncode == 0

    # Once the gateway has ended what nobody asks for any more.
    until(backs_up, "a backup")
    assert fleet.run("backup", "verify", str(tmp_path / "backup")).returncode == 0


def test_a_full_disk_costs_the_backup_alone(fleet: Fleet, small_disk: Path) -> None:
    """Posts are answered meanwhile and after it; the room is given back."""
    key = fleet.add("d1")
    fleet.begin()
    load = Load(fleet, key)
    load.start()
    try:
        load.until(500)
        fill(small_disk / "others")
        os.truncate(small_disk / "others", (small_disk / "others").stat().st_size - 200_000)
        done = fleet.run("backup", str(small_disk / "backup"))
        load.until(load.answered + 100)
    finally:
        load.stop()

    assert done.returncode == 1
    assert "full" in done.stderr or "No space left" in done.stderr
    assert [path.name for path in small_disk.iterdir()] == ["others"]
    status = fleet.ask()
    assert_balanced(status)
    assert status["intake"]["accepted"] >= load.answered
    assert status["journal"]["stalled"] is None


def test_what_is_there_is_not_written_over(fleet: Fleet, tmp_path: Path) -> None:
    """A restore is refused while the gateway runs, then names the files in the way, then moves them aside."""
    key = fleet.add("d1")
    fleet.begin()
    backup = tmp_path / "backup"
    backed_up(fleet, backup)
    running = fleet.run("restore", str(backup), "--replace")
    assert running.returncode == 1
    assert "a running iiot-gateway has" in running.stderr
    load = Load(fleet, key)
    load.start()
    load.until(10)
    load.stop()
    fleet.stop()
    journal = fleet.journal.read_bytes()

    refused = fleet.run("restore", str(backup))
    assert refused.returncode == 1
    assert f"  {fleet.journal}\n" in refused.stderr
    assert str(fleet.config) not in refused.stderr, "it is as it was"
    assert fleet.journal.read_bytes() == journal
    said = restored(fleet, backup, "--replace")
    assert f"left as it is, because it is the same: {fleet.config}" in said
    (aside,) = fleet.folder.glob("journal.db.replaced-*[0-9]")
    assert aside.read_bytes() == journal
    fleet.begin()
    assert fleet.ask()["intake"]["accepted"] < load.answered


def test_retained_values_of_others_come_back(fleet: Fleet, tmp_path: Path) -> None:
    """What another client retained at the built-in broker is there again, with the value of the backup's time."""
    fleet.begin()
    client = other_client(fleet)
    client.publish("line/speed", "1.50", retain=True)
    backed_up(fleet, tmp_path / "backup")
    client.publish("line/speed", "2.00", retain=True)
    client.stop()
    fleet.stop()

    restored(fleet, tmp_path / "backup", "--replace")
    fleet.begin()

    client = other_client(fleet)
    assert client.may_subscribe("line/#")
    until(lambda: client.messages == [("line/speed", b"1.50")], "the retained value")
    client.stop()


def test_no_device_gets_the_id_of_one_that_came_after_the_backup(fleet: Fleet, tmp_path: Path) -> None:
    """Its values may stand in a database, and would be taken for those of the new one."""

    def added(name: str) -> int:
        fleet.command_key("add", name, "--type", "sensor")
        (found,) = (device for device in json.loads(fleet.run("devices", "list", "--json").stdout) if device["name"] == name)
        return int(found["id"])

    fleet.begin()
    first = added("first")
    backed_up(fleet, tmp_path / "backup")
    lost = added("lost")
    fleet.stop()
    restored(fleet, tmp_path / "backup", "--replace")

    assert first < lost < added("new")


def test_a_stopped_gateway_is_backed_up_as_well(fleet: Fleet, tmp_path: Path) -> None:
    """Without a gateway the command copies the files itself, a log that was left behind with them."""
    key = fleet.add("d1")
    fleet.begin()
    load = Load(fleet, key)
    load.start()
    load.until(50)
    load.stop()
    fleet.kill9()
    before = fleet.status()["intake"]["accepted"]

    backed_up(fleet, tmp_path / "backup")

    assert ledger_of(tmp_path / "backup")["intake"]["accepted"] == before >= load.answered
    assert not json.loads((tmp_path / "backup" / "manifest.json").read_text())["from_running"]
    restored(fleet, tmp_path / "backup", "--into", str(tmp_path / "there"))
    assert (tmp_path / "there" / "journal.db").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_what_root_restores_belongs_to_the_gateways_user(fleet: Fleet, tmp_path: Path) -> None:
    """On a new machine nothing is there: the folder and the locks are made, and a gateway that is not root must be able to use them."""
    fleet.begin()
    fleet.stop()
    owner = 54321
    for path in (fleet.folder, *fleet.folder.iterdir()):
        os.chown(path, owner, owner)
    backed_up(fleet, tmp_path / "backup")
    assert {path.stat().st_uid for path in fleet.folder.iterdir()} == {owner}

    restored(fleet, tmp_path / "backup", "--into", str(tmp_path / "new" / "there"))

    made = [tmp_path / "new", *(tmp_path / "new").rglob("*")]
    assert {"there", "journal.db", "journal.db.lock", "history.db.lock"} <= {path.name for path in made}
    assert {path.name: path.stat().st_uid for path in made if path.stat().st_uid != owner} == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_the_gateways_user_writes_into_no_folder_that_root_writes_into(fleet: Fleet, tmp_path: Path) -> None:
    """It could lead root elsewhere by a link."""
    fleet.begin()
    for path in fleet.folder.glob("journal.db"):
        os.chown(path, 54321, 54321)
    backed_up(fleet, tmp_path / "backup")
    assert (tmp_path / "backup").stat().st_uid == 0
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "backup" / "data").stat().st_uid == 54321


def test_files_outside_of_the_configurations_folder_stay_inside_of_the_backups(fleet: Fleet, tmp_path: Path) -> None:
    """A path with `..` names one as well, and a trial puts it where the trial belongs."""
    (tmp_path / "secrets").mkdir()
    (fleet.folder / "token").rename(tmp_path / "secrets" / "token")
    fleet.config.write_text(fleet.config.read_text().replace('token_file = "token"', 'token_file = "../secrets/token"'))
    fleet.begin()
    backed_up(fleet, tmp_path / "backups" / "one")
    fleet.stop()
    tried = fleet.run("backup", "verify", str(tmp_path / "backups" / "one"), "--restore")
    assert tried.returncode == 0, tried.stderr
    assert [path.name for path in (tmp_path / "backups").iterdir()] == ["one"]

    restored(fleet, tmp_path / "backups" / "one", "--into", str(tmp_path / "there"))
    (token,) = (tmp_path / "there").rglob("token")
    assert token == tmp_path / "there" / str(tmp_path / "secrets" / "token").lstrip("/")


def test_a_manifest_that_leads_elsewhere_is_damaged(fleet: Fleet, tmp_path: Path) -> None:
    """A trial that root makes every night must not write where somebody else says."""
    fleet.begin()
    backed_up(fleet, tmp_path / "backup")
    fleet.stop()
    manifest = tmp_path / "backup" / "manifest.json"
    document = json.loads(manifest.read_text())
    document["files"][0]["relative"] = "../elsewhere.db"
    manifest.write_text(json.dumps(document))
    refused = fleet.run("backup", "verify", str(tmp_path / "backup"), "--restore")
    assert refused.returncode == 1
    assert "outside of its folder" in refused.stderr


def test_damage_is_found(fleet: Fleet, tmp_path: Path) -> None:
    """A changed byte, a file that is missing or too much, and a manifest of a later program: each is named, and nothing is restored."""
    fleet.begin()
    backed_up(fleet, tmp_path / "backup")
    fleet.stop()

    def damaged(change: Callable[[Path], None], word: str) -> None:
        folder = tmp_path / "damaged"
        shutil.copytree(tmp_path / "backup", folder)
        change(folder)
        for words in (["backup", "verify"], ["restore", "--into", str(tmp_path / "there")]):
            done = fleet.run(*words, str(folder))
            assert done.returncode == 1
            assert word in done.stderr
        assert not (tmp_path / "there").exists()
        shutil.rmtree(folder)

    def flip(folder: Path) -> None:
        path = folder / "data" / "history.db"
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    def later(folder: Path) -> None:
        path = folder / "manifest.json"
        path.write_text(path.read_text().replace('"format": 1', '"format": 2'))

    damaged(flip, "data/history.db: it is not what was written")
    damaged(lambda folder: (folder / "data" / "registry.db").unlink(), "data/registry.db: No such file")
    damaged(lambda folder: (folder / "more").touch(), "more: the manifest does not know this file")
    damaged(later, "format 2")
    damaged(lambda folder: (folder / "manifest.json").write_text("{"), "is damaged")


def test_where_one_file_cannot_be_moved_aside_none_is(gateway: Gateway, tmp_path: Path) -> None:
    """The journal stays where it was: a container's configuration is mounted, and here it is a name that cannot be longer."""
    secret = gateway.folder / ("t" * 240)
    secret.write_text("first")
    gateway.configure(f'[simulate]\n[history]\n[webhook]\nurl = "http://127.0.0.1:9/"\ntoken_file = "{secret}"')
    gateway.start("run")
    gateway.until(lambda status: status["intake"]["accepted"] > 0, "a frame")
    gateway.stop()
    assert gateway.run("backup", str(tmp_path / "backup")).returncode == 0
    secret.write_text("second")
    before = {path: path.read_bytes() for path in gateway.folder.iterdir() if not path.name.endswith(".lock")}

    refused = gateway.run("restore", str(tmp_path / "backup"), "--replace")

    assert refused.returncode == 1
    assert f"{secret} cannot be moved aside: File name too long; nothing was changed." in refused.stderr
    assert {path: path.read_bytes() for path in gateway.folder.iterdir() if not path.name.endswith(".lock")} == before
