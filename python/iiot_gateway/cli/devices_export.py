"""`devices export`: the devices as CSV, or what a broker without dynamic security needs to know of them."""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from typing import TYPE_CHECKING

from iiot_gateway.cli.devices_import import COLUMNS
from iiot_gateway.errors import GatewayError
from iiot_gateway.registry.section import DevicesSection

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config
    from iiot_gateway.registry.device import Device
    from iiot_gateway.registry.store import Registry

ACL = "devices.acl"


def export_devices(registry: Registry, config: Config, args: argparse.Namespace) -> int:
    """Write the devices. Raises GatewayError."""
    devices = registry.devices.all()
    if args.mosquitto is None:
        writer = csv.writer(sys.stdout)
        writer.writerow(COLUMNS)
        writer.writerows(_row(device) for device in devices)
        return 0
    path = os.path.join(args.mosquitto, ACL)
    topics = config.one(DevicesSection).topics
    text = "".join(_rights(device, topics) for device in devices if device.is_enabled())
    try:
        os.makedirs(args.mosquitto, exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"# Written by `iiot-gateway devices export`; a device's user name is its id, its password its key.\n{text}")
    except OSError as error:
        raise GatewayError(f"{path} cannot be written: {error.strerror}") from error
    remedy = "set their passwords with mosquitto_passwd when keys are made: only digests are kept here"
    print(f"{path}: the rights of {len(devices)} devices; {remedy}")
    return 0


def _row(device: Device) -> list[str]:
    tables = {"tags": json.dumps(dict(device.tags)), "configuration": json.dumps(dict(device.configuration)), "state": str(device.state)}
    return [tables.get(name, str(getattr(device, name, ""))) for name in COLUMNS]


def _rights(device: Device, topics: str) -> str:
    below = f"{topics}/{device.id}"
    writes = "".join(f"topic write {below}/{kind}/#\n" for kind in ("telemetry", "status"))
    return f"\nuser {device.user_name or device.id}\n{writes}topic read {below}/commands/#\n"
