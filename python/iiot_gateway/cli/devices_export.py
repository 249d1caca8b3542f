"""`devices export`: the devices as CSV, or what a broker without dynamic security needs to know of them."""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from typing import TYPE_CHECKING

from iiot_gateway.cli.devices_import import COLUMNS, REMOVED
from iiot_gateway.errors import GatewayError
from iiot_gateway.registry.section import DevicesSection

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config
    from iiot_gateway.registry.device import Device
    from iiot_gateway.registry.store import Registry

MOST_NAMED = 20
ACL, PASSWORDS = "devices.acl", "devices.passwords"
HEAD = "# Written by `iiot-gateway devices export`; a device's user name is its id, its password its key.\n"


def export_devices(registry: Registry, config: Config, args: argparse.Namespace) -> int:
    """Write the devices. Raises GatewayError."""
    devices = registry.devices.all()
    if args.mosquitto is None:
        writer = csv.writer(sys.stdout)
        writer.writerow(COLUMNS)
        writer.writerows(_row(device) for device in devices)
        # A registry that imports this file must not give one of these ids to another device.
        known = {device.id for device in devices}
        writer.writerows(_row_of_removed(device_id) for device_id in registry.devices.removed() if device_id not in known)
        return 0
    return _export_for_mosquitto(registry, config.one(DevicesSection).topics, args.mosquitto)


def _export_for_mosquitto(registry: Registry, topics: str, folder: str) -> int:
    """Write a password file and an ACL with the enabled devices. Raises GatewayError."""
    devices = [device for device in registry.devices.all() if device.is_enabled()]
    hashes = registry.accounts.password_hashes()
    without = [device.id for device in devices if device.id not in hashes]
    _write(os.path.join(folder, ACL), HEAD + "".join(_rights(device, topics) for device in devices))
    lines = [f"{device.user_name or device.id}:{hashes[device.id]}\n" for device in devices if device.id in hashes]
    _write(os.path.join(folder, PASSWORDS), "".join(lines))
    print(f"{folder}: {ACL} has the rights of {len(devices)} devices, {PASSWORDS} the passwords of {len(lines)}: the newest key of each")
    print("set use_username_as_clientid true in mosquitto.conf, so that no device takes the session of another")
    if without:
        more = f" and {len(without) - MOST_NAMED} more" if len(without) > MOST_NAMED else ""
        # Earlier versions stored keys without this hash.
        print(
            f"no password is known of {', '.join(without[:MOST_NAMED])}{more}: `iiot-gateway devices rotate ID` makes one", file=sys.stderr
        )
    return 0


def _write(path: str, text: str) -> None:
    """Write a file that only its owner can read. It replaces an earlier file in one step, because a broker may read it at any moment."""
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        new = f"{path}.new"
        with open(os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(new, path)
    except OSError as error:
        raise GatewayError(f"{path} cannot be written: {error.strerror}") from error


def _row(device: Device) -> list[str]:
    tables = {"tags": json.dumps(dict(device.tags)), "configuration": json.dumps(dict(device.configuration)), "state": str(device.state)}
    return [tables.get(name, str(getattr(device, name, ""))) for name in COLUMNS]


def _row_of_removed(device_id: str) -> list[str]:
    return [{"id": device_id, "state": REMOVED}.get(name, "") for name in COLUMNS]


def _rights(device: Device, topics: str) -> str:
    below = f"{topics}/{device.id}"
    writes = "".join(f"topic write {below}/{kind}/#\n" for kind in ("telemetry", "status"))
    return f"\nuser {device.user_name or device.id}\n{writes}topic read {below}/commands/#\n"
