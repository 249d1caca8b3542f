"""The registry: keys, devices and commands as they are stored, and what a damaged, locked, earlier or later file comes to."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiot_gateway._native import DeviceDirectory
from iiot_gateway.errors import RegistryUnusable
from iiot_gateway.registry import file
from iiot_gateway.registry.accounts import Account, AccountState, WantedAccount
from iiot_gateway.registry.commands import CommandState, TooManyWaiting
from iiot_gateway.registry.deletions import TooManyWaiting as TooManyDeletions
from iiot_gateway.registry.device import Device, DeviceState, id_fault
from iiot_gateway.registry.devices import Removed, Taken
from iiot_gateway.registry.directory import DirectorySync
from iiot_gateway.registry.file import RegistryFile
from iiot_gateway.registry.keys import KeyKind, digest, is_mistyped, new_key
from iiot_gateway.registry.schema import STEPS, TRIGGERS, VERSION, statements
from iiot_gateway.registry.server import RegistryServer
from iiot_gateway.registry.store import Registry
from iiot_gateway.registry.stored_key import device_key
from registries import opened_again, server_place


@pytest.fixture
def in_file(tmp_path: Path) -> Iterator[Registry]:
    """An empty registry in a file."""
    opened = Registry(RegistryFile(str(tmp_path / "devices.db")))
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def registry(request: pytest.FixtureRequest) -> Iterator[Registry]:
    """An empty registry."""
    if request.param == "sqlite":
        yield request.getfixturevalue("in_file")
        return
    opened = Registry(RegistryServer(server_place(request.getfixturevalue("shared_postgres"))))
    yield opened
    opened.close()


def device(name: str = "boiler", **settings: object) -> Device:
    """A device without an id."""
    return Device(id=str(settings.pop("id", "")), name=name, type="esp32", **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", list(KeyKind))
def test_a_key_that_is_cut_or_changed_is_told_from_a_right_one(kind: KeyKind) -> None:
    """So nobody looks for it."""
    key = new_key(kind)

    assert len(key) == 55
    assert not is_mistyped(key)
    assert is_mistyped(key[:-1])
    assert is_mistyped(key[:-1] + ("0" if key[-1] != "0" else "1"))
    assert is_mistyped(key[:6] + key[6:].swapcase())


def test_keys_of_other_services_are_not_judged_by_their_form() -> None:
    """A device that comes from another service keeps its key."""
    assert not is_mistyped("rnby0SIR2kF8mN3Q7vX9L1cE6tA5Y4pB")


@given(st.integers(0, 54), st.characters(codec="ascii", categories=("Lu", "Ll", "Nd")))
def test_one_wrong_character_of_a_key_is_always_found(place: int, character: str) -> None:
    """A CRC of 32 bits misses no single one."""
    key = new_key(KeyKind.READER)
    wrong = key[:place] + character + key[place + 1 :]

    assert wrong == key or is_mistyped(wrong) or not wrong.startswith(key[:6])


def test_keys_are_stored_as_digests(in_file: Registry, tmp_path: Path) -> None:
    """Whoever reads the file can log in nowhere."""
    key = new_key(KeyKind.DEVICE)
    in_file.devices.add(device(), device_key(key))
    in_file.close()

    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert key.encode() not in stored
    assert key[6:30].encode() not in stored
    assert digest(key) in stored


def test_a_device_without_an_id_gets_a_number_that_none_had(registry: Registry) -> None:
    """Else the values of a removed device would be taken for those of a new one."""
    first = registry.devices.add(device("a"))
    registry.devices.add(device("b", id="2"))
    third = registry.devices.add(device("c"))
    registry.devices.remove(third.id)
    fourth = registry.devices.add(device("d"))

    assert (first.id, third.id, fourth.id) == ("1", "3", "4")


def test_the_id_of_a_removed_device_goes_to_no_other(registry: Registry) -> None:
    """Whatever keeps values knows devices by their ids. Only whoever says that it is the same device brings it back."""
    registry.devices.add(device(id="one"))
    registry.devices.add(device("number", id="1"))
    assert registry.devices.remove("one")
    assert registry.devices.remove("1")

    for _ in range(2):
        with pytest.raises(Removed, match="the id one belonged to a device that was removed"):
            registry.devices.add(device(id="one"))
    assert registry.devices.add(device("next")).id == "2"
    assert registry.devices.add(device(id="one"), again=True).id == "one"
    assert registry.devices.remove("one")
    with pytest.raises(Removed):
        registry.devices.add_all([(device("before"), None), (device(id="one"), None)])
    assert [each.id for each in registry.devices.all()] == ["2"]


def test_the_ids_of_removed_devices_are_taken_to_another_registry(registry: Registry) -> None:
    """A device that has such an id there keeps it, and numbers never fall."""
    registry.devices.add(device(id="one"))

    assert registry.devices.remember_removed(["1", "one", "two"]) == ["one"]
    assert registry.devices.remember_removed(["two"]) == []
    registry.devices.number_after(["5", "007", "9" * 16, "serial-99"])
    registry.devices.number_after(["3"])

    assert registry.devices.removed() == ["1", "5", "two"]
    with pytest.raises(Removed):
        registry.devices.add(device("b", id="two"))
    assert registry.devices.add(device("c")).id == "6"
    assert registry.devices.removed() == ["1", "two"]
    registry.devices.number_after([])
    assert registry.devices.add(device("d")).id == "7"


@pytest.mark.parametrize(
    ("second", "what"),
    [
        (device("other", id="one"), "id one"),
        (device("first", id="two"), "name 'first'"),
        (device("other", id="two", user_name="pump"), "user name pump"),
    ],
)
def test_ids_names_and_user_names_belong_to_one_device(registry: Registry, second: Device, what: str) -> None:
    """The error says which is taken, and nothing is stored."""
    registry.devices.add(device("first", id="one", user_name="pump"))

    with pytest.raises(Taken, match=what):
        registry.devices.add_all([(device("before"), None), (second, None)])

    assert [each.id for each in registry.devices.all()] == ["one"]


def test_a_change_keeps_what_it_does_not_name_and_counts_configurations(registry: Registry) -> None:
    """A configuration that is the same gets no new version."""
    registry.devices.add(device(id="one", location="hall", tags={"line": "a"}))

    registry.devices.change("one", {"configuration": {"every_s": 5}})
    registry.devices.change("one", {"configuration": {"every_s": 5}, "state": DeviceState.MAINTENANCE})
    changed = registry.devices.change("one", {"name": "new"})

    assert changed is not None
    assert (changed.name, changed.location, changed.tags, changed.configuration_version) == ("new", "hall", {"line": "a"}, 1)
    assert registry.devices.get("one") == changed
    assert registry.devices.change("nobody", {"name": "x"}) is None


def test_of_two_rotations_only_the_newest_old_key_stays(registry: Registry) -> None:
    """At most two keys of a device are valid, and the old one for a while."""
    keys = [new_key(KeyKind.DEVICE) for _ in range(3)]
    registry.devices.add(device(id="one"), device_key(keys[0]))

    registry.keys.rotate("one", keys[1], overlap_s=60)
    until = registry.keys.rotate("one", keys[2], overlap_s=60)

    assert until is not None
    assert until > time.time() + 50
    first, second, third = (registry.keys.find(key) for key in keys)
    assert first is None
    assert second is not None
    assert second.expires_at == until
    assert third is not None
    assert third.expires_at is None
    assert registry.keys.rotate("one", new_key(KeyKind.DEVICE), overlap_s=0) is None
    assert [registry.keys.find(key) for key in keys] == [None, None, None]


def test_a_removed_device_leaves_no_key(registry: Registry) -> None:
    """Nor does a gateway's key speak for one that is registered again under the id."""
    key, gateway = new_key(KeyKind.DEVICE), new_key(KeyKind.GATEWAY)
    registry.devices.add(device(id="one"), device_key(key))
    registry.keys.add(gateway, KeyKind.GATEWAY, ["one", "two"])

    assert registry.devices.remove("one")

    assert registry.keys.find(key) is None
    found = registry.keys.find(gateway)
    assert found is not None
    assert found.devices == ("two",)
    assert not registry.devices.remove("one")


def test_a_deletion_is_done_by_the_gateway_that_was_asked_or_that_takes_it(registry: Registry) -> None:
    """In a file there is one gateway, whatever its journal is."""
    asked = registry.deletions.add("one", 1, 2, journal="old")
    assert registry.deletions.begun(asked, 17)
    is_server = registry.database.is_server

    own, others = registry.deletions.waiting("new")
    assert ([each.id for each in own], [each.id for each in others]) == (([], [asked.id]) if is_server else ([asked.id], []))
    registry.deletions.take(asked.id, "new")

    (taken,), others = registry.deletions.waiting("new")
    assert (taken.journal, taken.position, others) == ("new", None, [])
    assert registry.deletions.begun(taken, 18)
    registry.deletions.take(asked.id, "new")
    assert [each.position for each in registry.deletions.waiting("new")[0]] == [18]
    assert registry.deletions.done(taken)
    registry.deletions.take(asked.id, "third")
    assert registry.deletions.waiting("new") == ([], [])


def test_a_gateway_neither_begins_nor_ends_a_deletion_that_another_has_taken(registry: Registry) -> None:
    """Its journal has other positions, and what waits in the journal of the new one is not deleted yet."""
    asked = registry.deletions.add("one", 1, 2, journal="old")
    assert registry.deletions.is_still(asked)
    registry.deletions.take(asked.id, "new")

    assert not registry.deletions.is_still(asked)
    assert not registry.deletions.begun(asked, 17)
    assert not registry.deletions.done(asked)

    (taken,), _ = registry.deletions.waiting("new")
    assert (taken.position, taken.done_at) == (None, None)
    assert registry.deletions.done(taken)
    assert not registry.deletions.is_still(taken)


def test_what_another_process_changes_is_another_generation(registry: Registry) -> None:
    """So what was remembered of keys is looked up again."""
    before = registry.generation()
    other = opened_again(registry)
    other.devices.add(device())

    assert registry.generation() != before
    assert len(registry.devices.all()) == 1
    other.close()


@pytest.mark.native
def test_of_two_loads_the_older_one_is_not_told_last(registry: Registry) -> None:
    """Else a device that is disabled meanwhile would stay enabled for brokers and sources."""
    registry.devices.add(device(id="e1"))
    told: list[bool] = []
    is_read, is_told = threading.Event(), threading.Event()

    class Slow:
        """A directory that does not hear the first load before the second, unless that one waits."""

        def __init__(self) -> None:
            self._directory = DeviceDirectory()

        def set(self, device_id: str, *, is_enabled: bool, **more: Any) -> None:
            if is_enabled:
                is_read.set()
                is_told.wait(0.5)
            self._directory.set(device_id, is_enabled=is_enabled, **more)
            told.append(is_enabled)
            is_told.set()

    sync = DirectorySync(registry, Slow())  # type: ignore[arg-type]
    first = threading.Thread(target=sync.load)
    first.start()
    assert is_read.wait(20.0)
    registry.devices.change("e1", {"state": DeviceState.INACTIVE})
    sync.load()
    first.join(20.0)

    assert told == [True, False]


def test_what_was_told_before_a_load_failed_is_known(registry: Registry) -> None:
    """Else a device that is enabled again before the next load would stay disabled."""
    faults: list[RegistryUnusable] = []
    told: list[bool] = []

    def pages() -> Iterator[list[Device]]:
        yield from registry.devices.pages()
        if faults:
            raise faults.pop()

    torn = SimpleNamespace(generation=registry.generation, keys=registry.keys, devices=SimpleNamespace(pages=pages))
    listening = SimpleNamespace(set=lambda _id, *, is_enabled, **_more: told.append(is_enabled))
    sync = DirectorySync(torn, listening)  # type: ignore[arg-type]
    registry.devices.add(device(id="e1"))
    sync.load()
    registry.devices.change("e1", {"state": DeviceState.INACTIVE})
    faults.append(RegistryUnusable("the registry", "it is away", "wait"))
    with pytest.raises(RegistryUnusable):
        sync.load()
    registry.devices.change("e1", {"state": DeviceState.ACTIVE})
    sync.load()

    assert told == [True, False, True]


def test_commands_are_queued_sent_acknowledged_or_expired(registry: Registry) -> None:
    """Each once, by the device that they are for."""
    registry.devices.add(device(id="one"))
    first = registry.commands.add("one", "restart", {"in_s": 5}, lifetime_s=60)
    late = registry.commands.add("one", "blink", None, lifetime_s=-1)

    assert [command.id for command in registry.commands.waiting()] == [first.id]
    registry.commands.sent(first.id)
    assert registry.commands.waiting() == []
    assert registry.commands.send_again("one") == 1
    assert [command.id for command in registry.commands.waiting()] == [first.id]
    registry.commands.sent(first.id)
    assert not registry.commands.acknowledged("two", first.id)
    assert registry.commands.acknowledged("one", first.id)
    assert not registry.commands.acknowledged("one", first.id)
    assert registry.commands.expire() == 1

    states = {command.id: command.state for command in registry.commands.of("one")}
    assert states == {first.id: CommandState.ACKNOWLEDGED, late.id: CommandState.EXPIRED}
    assert registry.commands.of("one")[-1].payload == {"in_s": 5}


def test_commands_that_wait_are_bounded(registry: Registry) -> None:
    """A device that never comes back fills nothing."""
    registry.devices.add(device(id="one"))
    for _ in range(100):
        registry.commands.add("one", "blink", None, lifetime_s=60)

    with pytest.raises(TooManyWaiting):
        registry.commands.add("one", "blink", None, lifetime_s=60)


def test_deletions_are_kept_until_they_are_done(registry: Registry) -> None:
    """With the place that every sink must have passed; and no device can fill the file with them."""
    first = registry.deletions.add("one", 5, 2**63 - 1, journal="j")
    registry.deletions.begun(first, 7)
    second = registry.deletions.add("two", 0, 1, journal="j")

    waiting, _ = registry.deletions.waiting("j")
    assert [(each.id, each.device, each.stop_ns, each.position) for each in waiting] == [
        (first.id, "one", 2**63 - 1, 7),
        (second.id, "two", 1, None),
    ]
    others = [each.id for each in registry.deletions.waiting("another")[0]]
    assert others == ([] if registry.database.is_server else [first.id, second.id])
    registry.deletions.done(first)
    assert [each.id for each in registry.deletions.waiting("j")[0]] == [second.id]
    done = registry.deletions.get(first.id)
    assert done is not None
    assert done.done_at is not None
    for _ in range(99):
        registry.deletions.add("two", 0, 1, journal="j")
    with pytest.raises(TooManyDeletions):
        registry.deletions.add("two", 0, 1, journal="j")
    for _ in range(150):
        registry.deletions.done(registry.deletions.add("one", 0, 1, journal="j"))
    assert registry.deletions.get(first.id) is None


@pytest.mark.parametrize("wrong", ["", "a" * 65, "a/b", "a+", "#", "a b", "é", "a.b", "status", "a\n"])
def test_an_id_means_nothing_in_topics_and_addresses(wrong: str) -> None:
    """Nor does it stand for a word of the API."""
    assert id_fault(wrong) is not None
    assert id_fault("a" * 64) is None


def test_a_later_version_is_refused_and_not_changed(tmp_path: Path) -> None:
    """The program that wrote it can still use it."""
    path = tmp_path / "devices.db"
    Registry(RegistryFile(str(path))).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version={VERSION + 1}")

    with pytest.raises(RegistryUnusable, match=f"version {VERSION + 1}"):
        Registry(RegistryFile(str(path)))

    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION + 1,)


def test_a_file_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    """Its keys stay valid; of what was not stored then nothing is known."""
    path, key = tmp_path / "devices.db", new_key(KeyKind.DEVICE)
    with sqlite3.connect(path, isolation_level=None) as db:
        for statement in statements(STEPS[0] + TRIGGERS):
            db.execute(statement)
        db.execute("PRAGMA user_version=1")
        db.execute("INSERT INTO device VALUES ('one', 'n', 't', '', '', '', 'active', '{}', NULL, 1, NULL, '', '{}', 0)")
        db.execute("INSERT INTO access_key (digest, kind, label, created_at) VALUES (?, 'device', '', 1)", (digest(key),))
        db.execute("INSERT INTO access_key_device VALUES (1, 'one')")

    first, second = Registry(RegistryFile(str(path))), Registry(RegistryFile(str(path)))

    found = first.keys.find(key)
    assert found is not None
    assert found.devices == ("one",)
    assert first.deletions.waiting("j") == ([], [])
    assert first.accounts.password_hashes() == {}
    assert first.accounts.registry_id() == second.accounts.registry_id() != ""
    first.keys.rotate("one", new_key(KeyKind.DEVICE), overlap_s=60)
    assert list(first.accounts.password_hashes()) == ["one"]
    first.close()
    second.close()


def test_what_a_broker_is_to_have(registry: Registry) -> None:
    """The newest key of a device, and all that are valid; what it has is remembered until its device is gone."""
    keys = [new_key(KeyKind.DEVICE) for _ in range(2)]
    registry.devices.add(device(id="one", user_name="pump"), device_key(keys[0]))
    until = registry.keys.rotate("one", keys[1], overlap_s=60)
    registry.devices.add(device("b", id="two", state=DeviceState.INACTIVE))

    wanted = registry.accounts.wanted()

    old, new = (entry.id for entry in registry.keys.of("one"))
    assert wanted["one"] == WantedAccount(
        device="one", user_name="pump", is_enabled=True, key_id=new, key_digest=digest(keys[1]), valid={old: until, new: None}
    )
    assert wanted["two"] == WantedAccount(device="two", user_name="two", is_enabled=False)
    account = Account(device="one", broker="mqtt://b", key_id=old, state=AccountState.ROTATE, detail="why")
    registry.accounts.store([account])
    registry.accounts.store([replace(account, device="gone")])
    registry.accounts.store([], ["gone"])
    (stored,) = registry.accounts.all().values()
    assert replace(stored, changed_at=0.0) == account


def test_a_damaged_file_is_named_with_a_remedy(tmp_path: Path) -> None:
    """It is not taken for an empty one."""
    path = tmp_path / "devices.db"
    path.write_bytes(b"no database at all" * 100)

    with pytest.raises(RegistryUnusable, match="restore it from a backup"):
        Registry(RegistryFile(str(path)))


def test_a_file_that_another_program_holds_is_waited_for_and_then_told(
    in_file: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading goes on."""
    in_file.devices.add(device(id="one"))
    monkeypatch.setattr(file, "BUSY_TIMEOUT_S", 0.05)
    impatient = opened_again(in_file)
    holder = sqlite3.connect(tmp_path / "devices.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    with pytest.raises(RegistryUnusable, match="another program uses it"):
        impatient.devices.add(device("two"))

    assert impatient.devices.get("one") is not None
    holder.execute("ROLLBACK")
    impatient.devices.add(device("two"))
    holder.close()
    impatient.close()
