"""A registry in a server: what `check` says of its section, how statements are translated, and what the door remembers of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from iiot_gateway.api.problem import Problem
from iiot_gateway.config.load import load_text
from iiot_gateway.device_api import door
from iiot_gateway.device_api.door import Door
from iiot_gateway.errors import ConfigError
from iiot_gateway.registry.device import Device, KeyEntry
from iiot_gateway.registry.dialect import tables, translated
from iiot_gateway.registry.file import RegistryFile
from iiot_gateway.registry.keys import KeyKind, new_key
from iiot_gateway.registry.server import RegistryServer
from iiot_gateway.registry.store import Registry
from registries import opened_again, server_place
from servers import Postgres, until


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ('database_section = "postgresql.north"', "there is no section [postgresql.north]; expected one of: postgresql"),
        ('database_schema = ""', "schema"),
        (f'database_schema = "{"a" * 64}"', "schema"),
    ],
)
def test_a_server_or_schema_that_cannot_be_used_is_a_fault(keys: str, words: str) -> None:
    """Named with its place, and with what could stand there."""
    text = f'[devices]\ndatabase = "postgresql"\n{keys}\n[postgresql]\n'
    load_text(text.replace(keys, ""))

    with pytest.raises(ConfigError) as raised:
        load_text(text)

    assert words in str(raised.value)
    assert f"devices.{keys.split(maxsplit=1)[0]}" in str(raised.value)


def test_statements_and_tables_are_translated() -> None:
    """Places keep their numbers, or get them in their order."""
    assert translated("SELECT group_concat(a) FROM b WHERE c=? AND d=?") == "SELECT string_agg(a) FROM b WHERE c=$1 AND d=$2"
    assert translated("UPDATE a SET b=?2 WHERE c=?1 AND d=?12") == "UPDATE a SET b=$2 WHERE c=$1 AND d=$12"
    made = tables("CREATE TABLE a (b INTEGER PRIMARY KEY AUTOINCREMENT, c BLOB, d REAL, e TEXT) STRICT, WITHOUT ROWID;")
    assert made == ('CREATE TABLE a (b bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, c bytea, d double precision, e text COLLATE "C");')


@pytest.mark.servers
@pytest.mark.anyio
async def test_what_was_found_during_a_change_is_not_remembered(shared_postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a key that is revoked while it is looked for would be valid until the next change."""
    database = RegistryServer(server_place(shared_postgres))
    database.watch(10.0)
    registry = Registry(database)
    other = opened_again(registry)
    key = new_key(KeyKind.READER)
    entry = registry.keys.add(key, KeyKind.READER)
    find, door = registry.keys.find, Door(registry)

    def find_and_revoke(wanted: str) -> KeyEntry | None:
        found = find(wanted)
        before = registry.generation()
        other.keys.revoke(entry.id)
        until(lambda: registry.generation() != before, "the change")
        return found

    monkeypatch.setattr(registry.keys, "find", find_and_revoke)
    assert (await door.holder(key)).key == entry
    monkeypatch.undo()

    with pytest.raises(Problem) as raised:
        await door.holder(key)
    assert raised.value.status == 401
    registry.close()
    other.close()


@pytest.mark.anyio
async def test_of_more_devices_than_are_remembered_most_are_still_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when they come one after another, again and again."""
    registry = Registry(RegistryFile(str(tmp_path / "devices.db")))
    for number in range(6):
        registry.devices.add(Device(id=f"d{number}", name=f"n{number}", type="t"))
    asked: list[str] = []
    find = registry.devices.get
    monkeypatch.setattr(registry.devices, "get", lambda device_id: asked.append(device_id) or find(device_id))
    monkeypatch.setattr(door, "MOST_REMEMBERED", 4)
    opened = Door(registry)
    opened.refresh()

    for _ in range(3):
        for number in range(6):
            sender = await opened.sender(f"d{number}")
            assert sender is not None
            assert sender.device.name == f"n{number}"

    assert len(asked) == 6 + 3 + 3
    registry.close()
