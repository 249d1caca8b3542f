"""The registry in PostgreSQL: shared, changed by others, and away; nobody is let in by what is only remembered."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fleets import Fleet
from gateways import assert_balanced
from iiot_gateway.errors import RegistryUnusable
from iiot_gateway.registry.device import Device
from iiot_gateway.registry.keys import KeyKind, new_key
from iiot_gateway.registry.schema import VERSION
from iiot_gateway.registry.server import RegistryServer
from iiot_gateway.registry.store import Registry
from iiot_gateway.registry.watch import Watch
from registries import server_place
from servers import Mosquitto, Postgres, until
from subscribers import Subscriber

pytestmark = pytest.mark.native

POINT = {"measurement": "temperature", "fields": {"value": 21.5}}
IN_SERVER = 'database = "postgresql"\nrequests_per_minute = 0\npoints_per_minute = 0\naddress_requests_per_minute = 0'


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """A function that makes a gateway whose registry is in a server; all are ended after the test."""
    made: list[Fleet] = []

    def make(server: Postgres, *, user: str = "postgres", start: bool = True, more: str = "", devices: str = "") -> Fleet:
        section = f'[postgresql]\nurl = "{server.url_of(user)}"\n[history]\npath = "history.db"\n{more}'
        made.append(Fleet(tmp_path / str(len(made)), devices=f"{IN_SERVER}\n{devices}", sections=section))
        if start:
            made[-1].begin()
        return made[-1]

    yield make
    for each in made:
        each.end()


def post(gateway: Fleet, key: str, **point: Any) -> tuple[int, Any]:
    """Post a point."""
    return gateway.api("POST", "influxdb/telemetry", key, {**POINT, **point})


@pytest.mark.slow
def test_two_gateways_share_devices_keys_and_changes(fleet: Callable[..., Fleet], launch: Callable[..., Postgres]) -> None:
    """What one changes counts at the other with its next request; also what the command line changes."""
    server = launch(Postgres)
    north, south = fleet(server), fleet(server)
    administrator = north.command_key("keys", "create", "--type", "administrator")
    status, answer = north.api("POST", "devices/register", administrator, {"name": "boiler", "device_type": "esp32", "id": "boiler"})
    assert status == 201
    key = answer["device"]["api_key"]

    assert [post(each, key)[0] for each in (north, south)] == [201, 201]
    assert south.api("PATCH", "devices/boiler", administrator, {"location": "hall"})[0] == 200
    until(lambda: north.api("GET", "devices/status", key)[1]["device"]["location"] == "hall", "the change of the other")
    rotated = south.api("POST", "devices/boiler/keys", administrator, {"overlap_s": 0})[1]["api_key"]
    assert post(south, key)[0] == 401
    until(lambda: post(north, key)[0] == 401, "the other's new key")
    assert post(north, rotated)[0] == 201

    assert north.run("devices", "disable", "boiler").returncode == 0
    until(lambda: [post(each, rotated)[0] for each in (north, south)] == [403, 403], "the end of its rights")
    assert north.run("devices", "remove", "boiler").returncode == 0
    until(lambda: [post(each, rotated)[0] for each in (north, south)] == [401, 401], "its removal")
    for each in (north, south):
        assert_balanced(each.status())


@pytest.mark.slow
def test_a_server_that_is_killed_under_posts_costs_no_answered_point(fleet: Callable[..., Fleet], launch: Callable[..., Postgres]) -> None:
    """While it is away devices are told to come again; what was answered with 201 is in the journal once."""
    server = launch(Postgres)
    gateway = fleet(server)
    key = gateway.add("boiler")
    answers: list[tuple[int, Any]] = []
    is_over = threading.Event()

    def send() -> None:
        number = 0
        while not is_over.is_set():
            # A point that was refused is sent again, as devices do.
            answers.append(post(gateway, key, message_id=f"{number}"))
            number += answers[-1][0] == 201

    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send)
        until(lambda: len(answers) > 20, "posts")
        server.crash()
        until(lambda: answers[-1][0] == 503, "an answer without the server")
        before = len(answers)
        assert gateway.call("GET", "/healthz")[0] == 200
        gateway.until(lambda found: found["source"]["devices"]["state"] == "unavailable", "the state of the source")
        server.start()
        until(lambda: any(status == 201 for status, _ in answers[before:]), "an answer with the server")
        is_over.set()
        sending.result(30)

    assert {status for status, _ in answers} == {201, 503}
    refused = next(answer for status, answer in answers if status == 503)
    assert refused["error"] == "registry_unusable"
    status = gateway.until(lambda found: found["sinks"]["postgresql"]["queued"] == 0, "rows in the database")
    assert_balanced(status)
    stored = server.value("SELECT count(*) FROM temperature WHERE device_id = 'boiler'")
    assert int(stored) == sum(1 for status, _ in answers if status == 201)


@pytest.mark.slow
def test_a_cut_connection_opens_nothing(fleet: Callable[..., Fleet], launch: Callable[..., Postgres]) -> None:
    """Whoever listened may miss a change: the answer is 503 until the registry was asked again, and only then 401."""
    server = launch(Postgres)
    server.rows("CREATE ROLE plain LOGIN; GRANT CREATE ON SCHEMA public TO plain; CREATE SCHEMA iiot_registry AUTHORIZATION plain")
    gateway = fleet(server, user="plain")
    key, other = gateway.add("boiler"), gateway.add("pump")
    cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'iiot-gateway registry'"
    revoke = "DELETE FROM iiot_registry.access_key USING iiot_registry.access_key_device d WHERE d.access_key = id AND d.device = 'boiler'"

    for _ in range(3):
        server.rows(cut)
        until(lambda: post(gateway, other)[0] == 201, "the connections again")
    # The gateway may notice the last cut only now.
    until(lambda: post(gateway, key)[0] == 201, "the connections for the last time")
    server.rows("ALTER ROLE plain NOLOGIN")
    server.rows(f"{cut}; {revoke}")
    until(lambda: post(gateway, other)[0] == 503, "the end of the connections")
    found = {post(gateway, each)[0] for _ in range(20) for each in (key, other)}
    server.rows("ALTER ROLE plain LOGIN")

    assert found == {503}
    until(lambda: post(gateway, key)[0] == 401, "the revoked key")
    assert post(gateway, other)[0] == 201


@pytest.mark.slow
def test_a_gateway_starts_without_the_server_and_takes_nothing_until_it_is_there(
    fleet: Callable[..., Fleet], launch: Callable[..., Postgres], mosquitto: Mosquitto, subscribe: Callable[..., Subscriber]
) -> None:
    """Messages of devices stay with their broker: they would be taken for those of unknown devices."""
    server = launch(Postgres)
    consumer = f'[mqtt_consumer]\nbroker_url = "{mosquitto.url}"\nprofile = "iotflow"\ntopics = ["iotflow/devices/+/telemetry/+"]\n'
    gateway = fleet(server, more=consumer)
    key = gateway.add("boiler")
    until(lambda: "subscribed" in gateway.log(), "the subscription")
    assert gateway.stop() == 0
    server.stop()

    gateway.begin()
    subscribe(mosquitto).publish("iotflow/devices/boiler/telemetry/temperature", '{"data": {"temperature": 22.5}}')
    status, answer = post(gateway, key)
    assert (status, answer["error"]) == (503, "registry_unusable")
    until(lambda: "the registry of devices is not there yet" in gateway.log(), "the consumer that waits")
    assert gateway.ask()["intake"]["rejected"] == 0
    server.start()

    until(lambda: post(gateway, key, message_id="once")[0] == 201, "an answer with the server")
    assert sorted(value["value"] for value in gateway.measured("boiler", key, 2)) == [21.5, 22.5]
    assert gateway.ask()["intake"]["rejected"] == 0


@pytest.mark.slow
def test_rights_that_are_missing_are_named_with_a_remedy(fleet: Callable[..., Fleet], launch: Callable[..., Postgres]) -> None:
    """By the command, by `doctor`, and gone once they are there."""
    server = launch(Postgres)
    server.rows("CREATE ROLE plain LOGIN; GRANT CREATE ON SCHEMA public TO plain")
    gateway = fleet(server, user="plain", start=False)

    refused = gateway.run("devices", "list")
    looked = gateway.run("doctor")
    server.rows('CREATE SCHEMA "iiot_registry" AUTHORIZATION "plain"')
    made = gateway.run("devices", "add", "boiler", "--type", "esp32")
    server.rows("REVOKE UPDATE ON iiot_registry.device FROM plain")
    lacking = gateway.run("doctor")

    assert refused.returncode != 0
    assert 'CREATE SCHEMA "iiot_registry" AUTHORIZATION' in refused.stderr
    assert "there is no schema iiot_registry, and plain may not make it" in looked.stdout
    assert made.returncode == 0, made.stderr
    assert "plain may not read and change device" in lacking.stdout
    assert "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA" in lacking.stdout


@pytest.mark.slow
def test_tables_of_a_later_version_are_refused_and_not_changed(fleet: Callable[..., Fleet], launch: Callable[..., Postgres]) -> None:
    """By the gateway at its start, and by commands."""
    server = launch(Postgres)
    gateway = fleet(server, start=False)
    gateway.add("boiler")
    server.rows(f"UPDATE iiot_registry.registry_version SET number = {VERSION + 1}")

    listed = gateway.run("devices", "list")
    gateway.start("run")

    assert gateway.wait() != 0
    for words in (listed.stderr, gateway.log()):
        assert f"it is of version {VERSION + 1}, and this program knows version {VERSION}" in words
    assert server.value("SELECT number FROM iiot_registry.registry_version") == str(VERSION + 1)


@pytest.mark.slow
def test_a_device_that_one_gateway_hears_is_offline_at_none(fleet: Callable[..., Fleet], launch: Callable[..., Postgres]) -> None:
    """Who did not hear it asks the registry, before it tells anybody."""
    server = launch(Postgres)
    north, south = (fleet(server, devices="silence_s = 14") for _ in range(2))
    key = north.add("boiler")
    assert post(north, key)[0] == 201
    until(lambda: '"presence": "online"' in north.log() or "presence=online" in north.log(), "the device at the first gateway")
    began_s = time.monotonic()

    def is_over() -> bool:
        assert post(south, key)[0] == 201
        return time.monotonic() - began_s > 18

    until(is_over, "the silence at one gateway", 40.0)

    (device,) = north.api("GET", "devices", north.command_key("keys", "create", "--type", "reader"))[1]["devices"]
    assert device["last_seen"] is not None
    assert server.value("SELECT presence FROM iiot_registry.device") == "online"
    assert "offline" not in north.log() + south.log()


def test_tables_are_made_once_by_whoever_comes_first(shared_postgres: Postgres) -> None:
    """The others wait for it, and find them."""
    place = server_place(shared_postgres)
    start = threading.Barrier(6)

    def add(number: int) -> str:
        registry = Registry(RegistryServer(place))
        start.wait(10)
        added = registry.devices.add(Device(id="", name=f"device {number}", type="sensor"))
        registry.close()
        return added.id

    with ThreadPoolExecutor(6) as pool:
        ids = sorted(pool.map(add, range(6)))

    assert ids == ["1", "2", "3", "4", "5", "6"]


def test_nothing_is_trusted_while_changes_cannot_be_heard_of(launch: Callable[..., Postgres]) -> None:
    """Neither what is remembered nor a question to the server; and everything is looked up again once it is back."""
    server = launch(Postgres)
    place = server_place(server)
    database = RegistryServer(place)
    database.watch(10.0)
    registry = Registry(database)
    key = new_key(KeyKind.READER)
    registry.keys.add(key, KeyKind.READER)
    before = registry.generation()
    assert registry.keys.find(key) is not None

    server.crash()
    until(lambda: _is_refused(registry.generation), "the end of the trust", 10.0)
    assert _is_refused(lambda: registry.keys.find(key))
    server.start()
    until(lambda: not _is_refused(registry.generation), "the server again", 10.0)

    assert registry.generation() != before
    assert registry.keys.find(key) is not None
    registry.close()


@pytest.mark.slow
def test_a_server_that_says_nothing_any_more_is_not_trusted_for_long(shared_postgres: Postgres) -> None:
    """As where a cable is pulled: no error comes, and no answer."""
    database = RegistryServer(server_place(shared_postgres))
    database.watch(10.0)
    registry = Registry(database)
    listening = "SELECT pid FROM pg_stat_activity WHERE query ~ 'SELECT number FROM revision' AND pid <> pg_backend_pid()"
    pids = [int(pid) for (pid,) in shared_postgres.rows(listening)]
    assert pids
    assert not _is_refused(registry.generation)

    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: _is_refused(registry.generation), "the end of the trust", 5.0)
        with pytest.raises(RegistryUnusable, match="has not answered for 3 s"):
            registry.devices.get("one")
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

    until(lambda: not _is_refused(registry.generation), "the server again", 10.0)
    registry.close()


def test_what_this_process_writes_counts_at_once_and_what_others_write_is_heard_of(shared_postgres: Postgres) -> None:
    """Writes that do not count, such as who was heard, forget nothing."""
    place = server_place(shared_postgres)
    database = RegistryServer(place)
    database.watch(10.0)
    registry, other = Registry(database), Registry(RegistryServer(place))
    first = registry.generation()
    registry.devices.add(Device(id="one", name="one", type="sensor"))
    second = registry.generation()
    registry.devices.heard({"one": time.time()})
    third = registry.generation()
    other.devices.change("one", {"location": "hall"})

    assert first != second == third
    until(lambda: registry.generation() != third, "the change of another", 5.0)
    registry.close()
    other.close()


def test_an_answer_that_is_older_than_a_commit_of_this_process_forgets_nothing(shared_postgres: Postgres) -> None:
    """But a server that was set back counts as a change, and so does every higher number."""
    watch = Watch(server_place(shared_postgres))
    generations = []

    for reached, seen, known in ((7, 7, -1), (8, 7, 7), (8, 9, 7), (9, 5, 9)):
        watch.reached(reached)
        watch._saw(seen, known)
        generations.append(watch._generation)

    assert [after - before for before, after in pairwise(generations)] == [1, 1, 1]


def test_a_text_that_postgresql_cannot_hold_is_looked_for_in_vain(shared_postgres: Postgres) -> None:
    """An address may hold any character."""
    registry = Registry(RegistryServer(server_place(shared_postgres)))

    assert registry.devices.get("a\0b") is None
    assert registry.devices.all(after="\0") == []
    registry.keys.add(new_key(KeyKind.READER), KeyKind.READER, label="a\0b")
    assert [entry.label for entry in registry.keys.all()] == ["a\ufffdb"]
    registry.close()


@pytest.mark.slow
def test_a_backup_says_that_the_registry_is_not_in_it(fleet: Callable[..., Fleet], launch: Callable[..., Postgres], tmp_path: Path) -> None:
    """And how to make its own."""
    server = launch(Postgres)
    gateway = fleet(server)
    gateway.add("boiler")

    done = gateway.run("backup", str(tmp_path / "backup"))
    verified = gateway.run("backup", "verify", str(tmp_path / "backup"))

    assert done.returncode == 0, done.stderr
    assert "pg_dump --schema=iiot_registry" in done.stdout
    manifest = json.loads((tmp_path / "backup" / "manifest.json").read_text())
    assert ["registry" for file in manifest["files"] if file["kind"] == "registry"] == []
    assert manifest["missing"] == []
    assert len(manifest["elsewhere"]) == 1
    assert verified.returncode == 0, verified.stderr


def _is_refused(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except RegistryUnusable:
        return True
    return False
