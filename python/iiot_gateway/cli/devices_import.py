"""`devices import`: many devices at once, from a CSV file or from the database of an IoTFlow Connectivity Layer.

Before the first device is added, every line is checked, also against the ids and names in the registry. Then the devices are added in
pieces. Existing devices are left out, so the same command finishes an import that was interrupted. A removed device comes back with
the data that it sent.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import json
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any

from iiot_gateway.cli.devices_account import hand_over
from iiot_gateway.errors import GatewayError, RegistryUnusable
from iiot_gateway.registry.device import Device, DeviceState, depth_fault, id_fault, levels_fault, must_be_right
from iiot_gateway.registry.devices import Taken
from iiot_gateway.registry.keys import KeyKind, new_key
from iiot_gateway.registry.stored_key import device_key
from iiot_gateway.visible import visible

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config
    from iiot_gateway.registry.store import Registry

COLUMNS = ("id", "name", "type", "location", "firmware_version", "hardware_version", "state", "user_name", "tags", "configuration")
"""Of a CSV file, as `export` writes it; id, name and type are needed."""
REMOVED = "removed"
"""The state in a row that has only the id of a removed device: no other device gets this id."""

PIECE = 100
"""The number of devices that are added in one transaction."""
MOST_TOLD = 20


def import_devices(registry: Registry, config: Config, args: argparse.Namespace) -> int:
    """Add the devices of a file. Raises GatewayError with every wrong line."""
    if (args.file is None) == (args.from_iotflow is None):
        raise GatewayError("name either a CSV file or --from-iotflow DATABASE")
    removed: list[str] = []
    if args.from_iotflow is None:
        devices, removed = _of_csv(args.file)
        found = [(device, "") for device in devices]
    else:
        found = list(_of_iotflow(args.from_iotflow))
    wanted, renamed = _not_there(registry, found)
    if there := len(found) - len(wanted):
        print(f"{there} devices exist already: they keep their data in the registry, and their keys", file=sys.stderr)
    for line in _shortened(renamed):
        print(visible(line), file=sys.stderr)
    # This comes first, so that no device that registers meanwhile gets such an id.
    registry.devices.number_after([*(device.id for device, _ in found), *removed])
    _remember(registry, removed)
    if args.from_iotflow is not None:
        for device, key in _added(registry, config, wanted):
            if not key:
                print(
                    visible(f"device {device.id} has no key there; `iiot-gateway devices rotate {device.id}` gives it one"), file=sys.stderr
                )
        print(visible(f"{len(wanted)} devices of {args.from_iotflow} added; their keys stay valid, and are stored as digests only"))
        return 0
    writer = csv.writer(sys.stdout)
    writer.writerow(["id", "api_key"])
    for device, key in _added(registry, config, ((device, new_key(KeyKind.DEVICE)) for device, _ in wanted)):
        writer.writerow([device.id, key])
    print(f"{len(wanted)} devices added; these are their keys, which are shown only now", file=sys.stderr)
    return 0


def _remember(registry: Registry, removed: list[str]) -> None:
    rest = iter(removed)
    kept: list[str] = []
    while piece := list(islice(rest, PIECE)):
        kept += registry.devices.remember_removed(piece)
    if removed:
        print(f"ids of removed devices taken over: {len(removed) - len(kept)}; no other device gets them", file=sys.stderr)
    for line in _shortened([f"device {device_id} is removed in the file, but registered here: it stays" for device_id in kept]):
        print(line, file=sys.stderr)


def _not_there(registry: Registry, found: Iterable[tuple[Device, str]]) -> tuple[list[tuple[Device, str]], list[str]]:
    """Return the devices to add, and a line for each known device that has another name in the file.

    A device with a known id is never added again: it may have been renamed since. Raises GatewayError if a device cannot be added.
    """
    there: dict[str, str] = {}
    names: set[str] = set()
    ids: set[str] = set()
    for device in registry.devices.each():
        there[device.id] = device.name
        names.add(device.name)
        ids |= {device.id, device.user_name or device.id}
    wanted, renamed, faults = [], [], []
    for device, key in found:
        if (name := there.get(device.id)) is not None:
            if name != device.name:
                renamed.append(f"device {device.id} has the name {name!r} in the registry, and {device.name!r} in the file")
            continue
        own = {device.id, device.user_name or device.id}
        if device.name in names:
            faults.append(f"device {device.id}: another device has the name {device.name!r}")
        if taken := sorted(own & ids):
            faults.append(f"device {device.id}: another device has the id or user name {taken[0]}")
        names.add(device.name)
        ids |= own
        wanted.append((device, key))
    if faults:
        raise GatewayError("\n".join([*_shortened(faults), "no device was added"]))
    return wanted, renamed


def _shortened(lines: list[str]) -> list[str]:
    return lines if len(lines) <= MOST_TOLD else [*lines[:MOST_TOLD], f"and {len(lines) - MOST_TOLD} more"]


def _added(registry: Registry, config: Config, wanted: Iterable[tuple[Device, str]]) -> Iterator[tuple[Device, str]]:
    """Add devices, and yield each with its key once it is stored. Raises GatewayError.

    One piece is one transaction. So another writer, such as a device that registers, waits for one piece and not for the whole file.
    """
    added = 0
    takes_keys = True
    rest = iter(wanted)
    while piece := list(islice(rest, PIECE)):
        keys = [key for _, key in piece if key]
        takes_keys = takes_keys and hand_over(config, keys)
        stored = [(device, device_key(key) if key else None) for device, key in piece]
        try:
            # If a device with this id was removed, the device in the file is the same device.
            registry.devices.add_all(stored, again=True)
        except Taken as error:
            # Another process has added or renamed a device since the check.
            remedy = "if it is not the same device, change this in the file; then import the file again, and the rest is added"
            raise GatewayError(f"{error}; {added} devices were added: {remedy}") from error
        except RegistryUnusable as error:
            raise GatewayError(f"{error}; {added} devices were added: import the same file again, and the rest is added") from error
        added += len(piece)
        yield from piece
        sys.stdout.flush()


def _of_csv(file: str) -> tuple[list[Device], list[str]]:
    """Return the devices of a file, and the ids of removed devices. Raises GatewayError with every wrong line."""
    try:
        with open(0 if file == "-" else file, newline="", encoding="utf-8-sig", closefd=file != "-") as opened:
            rows = list(csv.DictReader(opened))
    except (OSError, ValueError, csv.Error) as error:
        raise GatewayError(f"{file} cannot be read: {error}") from error
    faults = []
    devices = []
    removed = []
    for line, row in enumerate(rows, 2):
        try:
            given = _given(row)
            if given.get("state") == REMOVED:
                removed.append(_removed_id(given))
            else:
                devices.append(_device_of(given))
        except GatewayError as error:
            faults.append(f"{file}:{line}: {error}")
    both = {device.id for device in devices}.intersection(removed)
    faults += [f"{file}: device {device_id} is both a device and removed; delete one of its lines" for device_id in sorted(both)]
    if faults:
        raise GatewayError("\n".join([*faults, "no device was added"]))
    return devices, removed


def _given(row: Mapping[str | None, str | None]) -> dict[str, str]:
    if extra := [str(name) for name in row if name not in COLUMNS]:
        raise GatewayError(f"there is no column {extra[0]!r}; known are {', '.join(COLUMNS)}")
    return {str(name): value for name, value in row.items() if value}


def _removed_id(given: Mapping[str, str]) -> str:
    if more := [name for name in given if name not in ("id", "state")]:
        raise GatewayError(f"{more[0]}: a line with the state {REMOVED} has only an id; `iiot-gateway devices remove` removes a device")
    device_id = given.get("id", "")
    if fault := id_fault(device_id):
        raise GatewayError(fault)
    return device_id


def _device_of(given: Mapping[str, str]) -> Device:
    if missing := [name for name in ("id", "name", "type") if name not in given]:
        raise GatewayError(f"{missing[0]} is missing")
    tags, configuration = _table("tags", given.get("tags", "{}")), _table("configuration", given.get("configuration", "{}"))
    if wrong := [name for name, value in tags.items() if not isinstance(value, str)]:
        raise GatewayError(f"tags: the value of {wrong[0]} is no text")
    state = given.get("state", str(DeviceState.ACTIVE))
    if state not in set(DeviceState):
        raise GatewayError(f"state: found {state!r}, expected one of {', '.join([*DeviceState, REMOVED])}")
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
    _must_be_right(device)
    return device


def _must_be_right(device: Device) -> None:
    must_be_right(device)
    if fault := levels_fault("configuration", device.configuration):
        raise GatewayError(fault)


def _table(name: str, text: str) -> dict[str, Any]:
    try:
        table = json.loads(text)
    except ValueError:
        table = None
    except RecursionError as error:
        raise GatewayError(depth_fault(name)) from error
    if not isinstance(table, dict):
        raise GatewayError(f"{name}: expected a JSON object, found {text[:40]!r}")
    return table


def _of_iotflow(database: str) -> Iterable[tuple[Device, str]]:
    """Yield the devices of an IoTFlow database (table `devices` of its models), each with its key, which may be empty.

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
        # In IoTFlow two devices may have one name; here names must be different.
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
        try:
            _must_be_right(device)
        except GatewayError as error:
            raise GatewayError(f"{database}: device {number}: {error}; no device was added") from error
        yield device, key


def _iotflow_configurations(db: sqlite3.Connection) -> dict[str, dict[str, Any]]:
    has = db.execute("SELECT 1 FROM sqlite_master WHERE name='device_configurations'").fetchone()
    found: dict[str, dict[str, Any]] = {}
    if has:
        query = "SELECT device_id, config_key, config_value, data_type FROM device_configurations WHERE is_active ORDER BY id"
        for device, key, value, kind in db.execute(query):
            try:
                found.setdefault(str(device), {})[key] = _iotflow_value(value, kind)
            except RecursionError as error:
                fault = depth_fault(f"configuration: {key}")
                raise GatewayError(f"device {device}: {fault}; no device was added") from error
    return found


def _iotflow_value(text: str | None, kind: str) -> Any:
    """Read a value of a configuration. A value that does not fit its type stays a text."""
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
    """Read a time in the form that SQLAlchemy writes to SQLite: UTC, without a zone."""
    if not text:
        return None
    try:
        read = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return (read if read.tzinfo else read.replace(tzinfo=dt.UTC)).timestamp()
