"""`devices`: changes and shows the registry of devices and their keys. The gateway need not run; a running one sees changes at once.

A command that makes a key prints only the key to standard output, so that a script can read it. All other text goes to standard error.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
import time
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

from iiot_gateway.cli.devices_account import account_states, hand_over, shown_account
from iiot_gateway.config.load import load
from iiot_gateway.errors import GatewayError
from iiot_gateway.registry.access import NoDevice
from iiot_gateway.registry.device import Device, DeviceState, must_be_right
from iiot_gateway.registry.devices import Removed, Taken
from iiot_gateway.registry.keys import KeyKind, new_key
from iiot_gateway.registry.section import DevicesSection
from iiot_gateway.registry.shown import key_fault, shown_device, shown_key
from iiot_gateway.registry.stored_key import device_key
from iiot_gateway.visible import visible

if TYPE_CHECKING:
    from iiot_gateway.registry.store import Registry

DAY_S = 86_400.0
TIMES = frozenset({"created_at", "last_seen", "expires_at", "last_used", "since"})
KINDS = [str(kind) for kind in KeyKind if kind is not KeyKind.DEVICE]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, sentence: str) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=sentence, description=f"{sentence[0].upper()}{sentence[1:]}.")
        # The option is also accepted after the action. Its default is suppressed, so that it does not overwrite one before the action.
        added.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help="the configuration")
        return added

    listed = action("list", "list the devices")
    listed.add_argument("--json", action="store_true", help="print JSON")
    added = action("add", "add a device, and print its key")
    added.add_argument("name", help="its name; no other device may have the same")
    added.add_argument("--id", default="", help="letters, digits, - and _; the next number by default")
    added.add_argument("--type", required=True, help="what kind of device it is, such as sensor")
    added.add_argument("--again", action="store_true", help="bring back the removed device of this id, with its data")
    _descriptions(added)
    shown = action("show", "show a device and the data of its keys")
    shown.add_argument("id")
    changed = action("change", "change the data of a device; earlier points keep the tags that they have")
    changed.add_argument("id")
    changed.add_argument("--name")
    changed.add_argument("--type")
    changed.add_argument("--state", choices=[str(state) for state in DeviceState])
    _descriptions(changed)
    rotated = action("rotate", "give a device a new key, and print it")
    rotated.add_argument("id")
    rotated.add_argument(
        "--overlap-h", type=_hours, metavar="HOURS", help="how long the old key stays valid; devices.key_overlap_s by default"
    )
    action("disable", "refuse a device and its data").add_argument("id")
    action("enable", "accept a disabled device's data again").add_argument("id")
    removed = action("remove", "remove a device and its keys; its data stays, and its id is given to no other device")
    removed.add_argument("id")
    imported = action("import", "add the devices of a file; their keys are printed as CSV, or taken over")
    imported.add_argument(
        "file", nargs="?", metavar="FILE.csv", help="columns: id, name, type, and those that `export` writes; - is standard input"
    )
    imported.add_argument(
        "--from-iotflow", metavar="DATABASE", help="the SQLite file of an IoTFlow Connectivity Layer; its keys stay valid"
    )
    exported = action("export", "write the devices and the ids of removed ones as CSV, without keys; or what a broker needs")
    exported.add_argument("--mosquitto", metavar="FOLDER", help="a password file and an ACL for Mosquitto without its dynamic security")
    _key_actions(actions)


def _descriptions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--location")
    parser.add_argument("--firmware-version", metavar="VERSION")
    parser.add_argument("--hardware-version", metavar="VERSION")
    parser.add_argument("--user-name", metavar="NAME", help="a name under which it logs in at a broker, beside its id")
    parser.add_argument("--tag", action="append", type=_tag, metavar="NAME=VALUE", help="a tag on its points; several may be given")


def _key_actions(actions: Any) -> None:
    keys = actions.add_parser("keys", help="create, list and revoke keys", description="Create, list and revoke keys.")
    verbs = keys.add_subparsers(dest="verb", metavar="VERB", required=True)
    create = verbs.add_parser("create", help="create a key, and print it")
    create.add_argument("--type", required=True, choices=KINDS)
    create.add_argument(
        "--device",
        nargs="+",
        action="extend",
        default=[],
        metavar="ID",
        help="for a gateway's key: the devices that it may send for; * for all",
    )
    create.add_argument("--label", default="", help="a note, such as the owner of the key")
    create.add_argument("--expires-days", type=_days, metavar="DAYS", help="how long it is valid; without a limit by default")
    listed = verbs.add_parser("list", help="list the keys: everything but the keys themselves")
    listed.add_argument("--json", action="store_true", help="print JSON")
    revoke = verbs.add_parser("revoke", help="end a key")
    revoke.add_argument("number", type=int, help="as `keys list` shows it")
    for verb in (create, listed, revoke):
        verb.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help="the configuration")


def run(args: argparse.Namespace) -> int:
    """Perform the action."""
    from iiot_gateway.registry.building import open_registry

    config = load(args.config)
    registry = open_registry(config)
    if registry is None:
        raise GatewayError("the configuration has no section [devices]: add it, and this command finds the registry")
    args.loaded = config
    with closing(registry):
        if args.action == "import":
            from iiot_gateway.cli.devices_import import import_devices

            return import_devices(registry, config, args)
        if args.action == "export":
            from iiot_gateway.cli.devices_export import export_devices

            return export_devices(registry, config, args)
        if args.action == "keys":
            return KEY_VERBS[args.verb](registry, args)
        if args.action == "rotate" and args.overlap_h is None:
            args.overlap_h = config.one(DevicesSection).key_overlap_s / 3600
        return ACTIONS[args.action](registry, args)


def _list(registry: Registry, args: argparse.Namespace) -> int:
    devices = registry.devices.all()
    accounts = account_states(registry, args.loaded, [device.id for device in devices])
    if args.json:
        print(json.dumps([{**shown_device(device), **accounts.get(device.id, {})} for device in devices], indent=2))
        return 0
    if not devices:
        print("no devices; `iiot-gateway devices add NAME --type TYPE` adds one")
    width = max((len(device.id) for device in devices), default=0)
    for device in devices:
        heard = "never heard" if device.last_seen is None else f"heard {_written(device.last_seen)}"
        where = f", {device.location}" if device.location else ""
        state = accounts.get(device.id, {}).get("mqtt_account", "")
        account = f", account at the broker: {state}" if state not in ("", "ready", "disabled") else ""
        print(visible(f"{device.id:{width}}  {device.state!s:11}  {heard}  {device.name} ({device.type}{where}{account})"))
    return 0


def _add(registry: Registry, args: argparse.Namespace) -> int:
    device = Device(
        id=args.id,
        name=args.name,
        type=args.type,
        location=args.location or "",
        firmware_version=args.firmware_version or "",
        hardware_version=args.hardware_version or "",
        user_name=args.user_name or "",
        tags=dict(args.tag or []),
    )
    must_be_right(device)
    key = new_key(KeyKind.DEVICE)
    hand_over(args.loaded, [key])
    try:
        added = registry.devices.add(device, device_key(key), again=args.again)
    except Removed as error:
        raise GatewayError(f"{error}: choose another id, or add --again if it is the same device") from error
    except Taken as error:
        raise GatewayError(f"{error}; `iiot-gateway devices list` shows them") from error
    print(visible(f"device {added.id}, {added.name}: this is its key, which is shown only now"), file=sys.stderr)
    print(key)
    return 0


def _show(registry: Registry, args: argparse.Namespace) -> int:
    device = _known(registry, args.id)
    account = shown_account(registry, args.loaded, device.id)
    document = {
        **_with_times(shown_device(device)),
        **({} if account is None else {"mqtt_account": _with_times(account)}),
        "configuration": dict(device.configuration),
        "keys": [_with_times(shown_key(entry)) for entry in registry.keys.of(device.id)],
    }
    print(json.dumps(document, indent=2, ensure_ascii=True))
    return 0


def _change(registry: Registry, args: argparse.Namespace) -> int:
    names = ("name", "type", "location", "firmware_version", "hardware_version", "user_name")
    changes: dict[str, Any] = {name: value for name in names if (value := getattr(args, name)) is not None}
    if args.state is not None:
        changes["state"] = DeviceState(args.state)
    if args.tag:
        tags = {**_known(registry, args.id).tags, **dict(args.tag)}
        changes["tags"] = {name: value for name, value in tags.items() if value}
    return _changed(registry, args.id, changes)


def _changed(registry: Registry, device_id: str, changes: dict[str, Any]) -> int:
    from dataclasses import replace

    must_be_right(replace(_known(registry, device_id), **changes))
    try:
        device = registry.devices.change(device_id, changes)
    except Taken as error:
        raise GatewayError(str(error)) from error
    print(visible(f"device {device_id}: {', '.join(changes) or 'nothing'} changed; it is {device.state if device else ''}"))
    return 0


def _rotate(registry: Registry, args: argparse.Namespace) -> int:
    device = _known(registry, args.id)
    key = new_key(KeyKind.DEVICE)
    hand_over(args.loaded, [key])
    try:
        until = registry.keys.rotate(device.id, key, overlap_s=args.overlap_h * 3600)
    except NoDevice as error:
        raise GatewayError(str(error)) from error
    old = "no other key is valid" if until is None else f"the old one is valid until {_written(until)}"
    print(visible(f"device {device.id}: this is its new key, which is shown only now; {old}"), file=sys.stderr)
    print(key)
    return 0


def _remove(registry: Registry, args: argparse.Namespace) -> int:
    if not registry.devices.remove(args.id):
        raise _unknown(args.id)
    print(f"device {args.id} removed; its data stays, and its id is given to no other device")
    return 0


def _create_key(registry: Registry, args: argparse.Namespace) -> int:
    kind = KeyKind(args.type)
    if fault := key_fault(kind, args.device):
        raise GatewayError(fault)
    key = new_key(kind)
    expires_at = None if args.expires_days is None else time.time() + args.expires_days * DAY_S
    entry = registry.keys.add(key, kind, args.device, label=args.label, expires_at=expires_at)
    print(f"key {entry.id}, {kind}: it is shown only now", file=sys.stderr)
    print(key)
    return 0


def _list_keys(registry: Registry, args: argparse.Namespace) -> int:
    entries = registry.keys.all()
    if args.json:
        print(json.dumps([shown_key(entry) for entry in entries], indent=2))
        return 0
    if not entries:
        print("no keys; `iiot-gateway devices keys create --type administrator` makes the first")
    for entry in entries:
        now = time.time()
        valid = "valid" if entry.expires_at is None else f"{'until' if entry.is_valid(now) else 'expired'} {_written(entry.expires_at)}"
        used = "never used" if entry.last_used is None else f"used {_written(entry.last_used)}"
        print(visible(f"{entry.id:5}  {entry.kind!s:13}  {valid}  {used}  {', '.join(entry.devices)} {entry.label}".rstrip()))
    return 0


def _revoke(registry: Registry, args: argparse.Namespace) -> int:
    if not 0 < args.number < 2**63 or not registry.keys.revoke(args.number):
        raise GatewayError(f"there is no key {args.number}; `iiot-gateway devices keys list` shows them")
    print(f"key {args.number} revoked")
    return 0


def _known(registry: Registry, device_id: str) -> Device:
    device = registry.devices.get(device_id)
    if device is None:
        raise _unknown(device_id)
    return device


def _unknown(device_id: str) -> GatewayError:
    return GatewayError(f"there is no device {device_id!r}; `iiot-gateway devices list` shows them")


def _with_times(shown: dict[str, Any]) -> dict[str, Any]:
    """Return the document with its times as text for people."""
    return {name: _written(value) if name in TIMES and value is not None else value for name, value in shown.items()}


def _written(unix_s: float) -> str:
    return dt.datetime.fromtimestamp(unix_s, tz=dt.UTC).isoformat(timespec="seconds")


def _tag(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, found {text!r}")
    return name, value


def _hours(text: str) -> float:
    return _number(text, 0.0, 8784.0)


def _days(text: str) -> float:
    return _number(text, 1e-6, 36600.0)


def _number(text: str, low: float, high: float) -> float:
    number = float(text)  # argparse reports a ValueError as a wrong value
    if not low <= number <= high:
        raise argparse.ArgumentTypeError(f"expected a number from {low:g} to {high:g}")
    return number


ACTIONS: dict[str, Callable[[Any, argparse.Namespace], int]] = {
    "list": _list,
    "add": _add,
    "show": _show,
    "change": _change,
    "rotate": _rotate,
    "disable": lambda registry, args: _changed(registry, args.id, {"state": DeviceState.INACTIVE}),
    "enable": lambda registry, args: _changed(registry, args.id, {"state": DeviceState.ACTIVE}),
    "remove": _remove,
}
KEY_VERBS: dict[str, Callable[[Any, argparse.Namespace], int]] = {"create": _create_key, "list": _list_keys, "revoke": _revoke}
