"""`devices import`: many devices at once, from a CSV file or from the database of an IoTFlow Connectivity Layer.

All of a file come, or none: every line is looked at before the first device is added. A removed device comes back with what it sent.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import json
import sqlite3
import sys
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from iiot_gateway.cli.devices import must_be_right
from iiot_gateway.cli.devices_account import hand_over
from iiot_gateway.errors import GatewayError
from iiot_gateway.registry.device import Device, DeviceState
from iiot_gateway.registry.devices import Taken
from iiot_gateway.registry.keys import KeyKind, new_key
from iiot_gateway.registry.stored_key import StoredKey, device_key
from iiot_gateway.visible import visible

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config
    from iiot_gateway.registry.store import Registry

COLUMNS = ("id", "name", "type", "location", "firmware_version", "hardware_version", "state", "user_name", "tags", "configuration")
"""Of a CSV file, as `export` writes it; id, name and type are needed."""


def import_devices(registry: Registry, config: Config, args: argparse.Namespace) -> int:
    """Add the devices of a file. Raises GatewayError with every line that is wrong."""
    if (args.file is None) == (args.from_iotflow is None):
        raise GatewayError("name either a CSV file or --from-iotflow DATABASE")
    if args.from_iotflow is not None:
        found = list(_of_iotflow(args.from_iotflow))
        hand_over(config, [key for _, key in found if key])
        registry_adds(registry, [(device, device_key(key) if key else None) for device, key in found])
        for device, key in found:
            if not key:
                print(
                    visible(f"device {device.id} has no key there; `iiot-gateway devices rotate {device.id}` gives it one"), file=sys.stderr
                )
        print(visible(f"{len(found)} devices of {args.from_iotflow} added; their keys stay valid, and are stored as digests only"))
        return 0
    keys = {}
    wanted: list[tuple[Device, StoredKey | None]] = []
    for device in _of_csv(args.file):
        keys[device.id] = new_key(KeyKind.DEVICE)
        wanted.append((device, device_key(keys[device.id])))
    hand_over(config, list(keys.values()))
    registry_adds(registry, wanted)
    print(f"{len(wanted)} devices added; these are their keys, which are shown only now", file=sys.stderr)
    writer = csv.writer(sys.stdout)
    writer.writerow(["id", "api_key"])
    writer.writerows(keys.items())
    return 0


def registry_adds(registry: Registry, wanted: Iterable[tuple[Device, StoredKey | None]]) -> None:
    """Add all or none. Raises GatewayError."""
    try:
        # Whoever has the file brings devices back: they are the same ones.
        registry.devices.add_all(wanted, again=True)
    except Taken as error:
        raise GatewayError(f"{error}; no device was added") from error


def _of_csv(file: str) -> Iterable[Device]:
    try:
        with open(0 if file == "-" else file, newline="", encoding="utf-8-sig", closefd=file != "-") as opened:
            rows = list(csv.DictReader(opened))
    except (OSError, ValueError, csv.Error) as error:
        raise GatewayError(f"{file} cannot be read: {error}") from error
    faults = []
    devices = []
    for line, row in enumerate(rows, 2):
        try:
            devices.append(_device_of(row))
        except GatewayError as error:
            faults.append(f"{file}:{line}: {error}")
    if faults:
        raise GatewayError("\n".join([*faults, "no device was added"]))
    return devices


def _device_of(row: Mapping[str | None, str | None]) -> Device:
    if extra := [str(name) for name in row if name not in COLUMNS]:
        raise GatewayError(f"there is no column {extra[0]!r}; known are {', '.join(COLUMNS)}")
    given = {str(name): value for name, value in row.items() if value}
    if missing := [name for name in ("id", "name", "type") if name not in given]:
        raise GatewayError(f"{missing[0]} is missing")
    tags, configuration = _table("tags", given.get("tags", "{}")), _table("configuration", given.get("configuration", "{}"))
    if wrong := [name for name, value in tags.items() if not isinstance(value, str)]:
        raise GatewayError(f"tags: the value of {wrong[0]} is no text")
    state = given.get("state", str(DeviceState.ACTIVE))
    if state not in set(DeviceState):
        raise GatewayError(f"state: found {state!r}, expected one of {', '.join(DeviceState)}")
    device = Device(
        id=given["id"],
        name=given["name"],
        type=given["type"],
        location=given.get("location", ""),
        firmware_version=given.get("firmware_version", ""),
        hardware_version=given.get("hardware_version", ""),
        state=DeviceState(state),
        user_name=given.get("user_name", ""),
        tags=tags,
        configuration=configuration,
        configuration_version=1 if configuration else 0,
    )
    must_be_right(device)
    return device


def _table(name: str, text: str) -> dict[str, Any]:
    try:
        table = json.loads(text)
    except ValueError:
        table = None
    if not isinstance(table, dict):
        raise GatewayError(f"{name}: expected a JSON object, found {text[:40]!r}")
    return table


def _of_iotflow(database: str) -> Iterable[tuple[Device, str]]:
    """Give the devices of a database of IoTFlow (table `devices` of its models), each with its key, which may be empty.

    A status that the registry does not know disables the device.
    """
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
            db.row_factory = sqlite3.Row
            rows = db.execute("SELECT * FROM devices ORDER BY id").fetchall()
            configured = _iotflow_configurations(db)
    except sqlite3.Error as error:
        raise GatewayError(f"{database} cannot be read as a database of IoTFlow: {error}") from error
    names: set[str] = set()
    for row in rows:
        known = dict(row)
        try:
            number, key = str(known["id"]), str(known["api_key"] or "")
        except KeyError as error:
            raise GatewayError(f"{database}: the table devices has no column {error}") from error
        # There names may repeat; here they tell devices apart.
        name = known["name"] if known["name"] not in names else f"{known['name']} ({number})"
        names.add(name)
        device = Device(
            id=number,
            name=name,
            type=known.get("device_type") or "sensor",
            location=known.get("location") or "",
            firmware_version=known.get("firmware_version") or "",
            hardware_version=known.get("hardware_version") or "",
            state=DeviceState(known["status"]) if known.get("status") in set(DeviceState) else DeviceState.INACTIVE,
            created_at=_unix_s(known.get("created_at")) or 0.0,
            last_seen=_unix_s(known.get("last_seen")),
            configuration=configured.get(number, {}),
            configuration_version=1 if number in configured else 0,
        )
        must_be_right(device)
        yield device, key


def _iotflow_configurations(db: sqlite3.Connection) -> dict[str, dict[str, Any]]:
    has = db.execute("SELECT 1 FROM sqlite_master WHERE name='device_configurations'").fetchone()
    found: dict[str, dict[str, Any]] = {}
    if has:
        query = "SELECT device_id, config_key, config_value, data_type FROM device_configurations WHERE is_active ORDER BY id"
        for device, key, value, kind in db.execute(query):
            found.setdefault(str(device), {})[key] = _iotflow_value(value, kind)
    return found


def _iotflow_value(text: str | None, kind: str) -> Any:
    """Read a value of a configuration; one that is not of its type stays the text."""
    if text is None:
        return None
    try:
        match kind:
            case "integer":
                return int(text)
            case "float":
                return float(text)
            case "boolean":
                return text.lower() in ("true", "1", "yes")
            case "json":
                return json.loads(text)
    except ValueError:
        pass
    return text


def _unix_s(text: str | None) -> float | None:
    """Read a time as SQLAlchemy writes it into SQLite: UTC, without saying so."""
    if not text:
        return None
    try:
        read = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return (read if read.tzinfo else read.replace(tzinfo=dt.UTC)).timestamp()
