"""`simulate devices`: simulated ESP32s register themselves and send over HTTP or MQTT. A tally counts their messages by result."""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from iiot_gateway.cli.broker_arguments import broker_url, ca_file_of
from iiot_gateway.errors import GatewayError

if TYPE_CHECKING:
    from iiot_gateway.plant.device_fleet import KeyBook

MAX_DEVICES = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that only devices have."""
    parser.add_argument(
        "--http",
        metavar="URL",
        help="devices: the gateway, http://HOST:PORT; they register and send there, or only register if --broker is named",
    )
    parser.add_argument(
        "--registration-key-file", metavar="FILE", help="devices: a file that holds the key by which they register, and nothing else"
    )
    parser.add_argument(
        "--keys-file",
        metavar="FILE",
        help="devices: CSV with the columns id and api_key, as `devices import` prints it; devices that register are added to it",
    )


def run_devices(args: argparse.Namespace) -> int:
    """Run devices until Ctrl-C, or until they have sent `count` messages. Then print the tally."""
    from iiot_gateway.plant.device_fleet import DeviceFleet
    from iiot_gateway.plant.posting import Door

    if not args.http and not args.broker:
        raise GatewayError("simulate devices needs --http URL, such as http://127.0.0.1:5000, or --broker URL with --keys-file FILE")
    if args.broker and not args.http and not args.keys_file:
        raise GatewayError("--broker needs the keys of devices: name --keys-file FILE, or --http URL, and the devices register there")
    if args.devices > MAX_DEVICES:
        raise GatewayError(f"--devices: expected 1 to {MAX_DEVICES}, found {args.devices}")
    ca_file = ca_file_of(args, args.broker, args.http)
    fleet = DeviceFleet(
        door=Door(args.http, ca_file) if args.http else None,
        broker={"broker_url": broker_url(args), "ca_file": ca_file} if args.broker else None,
        devices=args.devices,
        rate_per_s=args.rate,
        seed=args.seed,
        count=args.count,
        keys=_key_book(args),
    )
    # A service manager's SIGTERM acts like Ctrl-C, so that the tally is printed too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        fleet.run()
    except KeyboardInterrupt:
        pass
    finally:
        document = fleet.tally.document()
        for trouble in fleet.troubles():
            print(f"iiot-gateway: {trouble}", file=sys.stderr)
        if document["unanswered"]:
            last = next((member.trouble for member in fleet.members if member.trouble), "")
            print(f"iiot-gateway: {document['unanswered']} messages were not answered: {last or 'it ended first'}", file=sys.stderr)
        text = json.dumps(document, indent=2)
        if args.ledger:
            Path(args.ledger).write_text(text + "\n", encoding="utf-8")
        else:
            print(text)
    return 1 if document["unanswered"] or document["refused"] or fleet.troubles() else 0


def _key_book(args: argparse.Namespace) -> KeyBook:
    from iiot_gateway.plant.device_fleet import KeyBook

    registration_key = _key_of(args.registration_key_file) if args.registration_key_file else ""
    if not args.keys_file:
        return KeyBook(registration_key=registration_key)
    return KeyBook(
        registration_key=registration_key,
        known=read_keys(args.keys_file, may_be_missing=bool(args.http)),
        learned=partial(add_key, args.keys_file),
    )


def read_keys(path: str, *, may_be_missing: bool) -> dict[str, str]:
    """Return the keys of a file by device. Raises GatewayError."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            keys = {row["id"]: row["api_key"] for row in csv.DictReader(file)}
    except FileNotFoundError as error:
        if may_be_missing:
            return {}
        raise GatewayError(f"{path} is not there") from error
    except (OSError, ValueError, csv.Error) as error:
        raise GatewayError(f"{path} cannot be read: {error}") from error
    except KeyError as error:
        raise GatewayError(f"{path} has no column {error}: expected id and api_key") from error
    if not all(device_id and key for device_id, key in keys.items()):
        raise GatewayError(f"{path}: a row has no id or no key")
    return keys


def add_key(path: str, device_id: str, key: str) -> None:
    """Add a key to a file that only its owner can read. Raises OSError."""
    with open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if file.tell() == 0:
            writer.writerow(["id", "api_key"])
        writer.writerow([device_id, key])


def _key_of(path: str) -> str:
    try:
        key = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise GatewayError(f"{path} cannot be read: {error}") from error
    if not key or not key.isascii() or not key.isprintable():
        raise GatewayError(f"{path} holds no key")
    return key
