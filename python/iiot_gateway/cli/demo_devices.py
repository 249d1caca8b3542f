"""The additions of `demo devices`: keys for a person, devices that register themselves, and a text that says what to try."""

from __future__ import annotations

import json
import secrets
import threading
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from iiot_gateway.cli.simulate_devices import add_key, read_keys
from iiot_gateway.errors import GatewayError, command
from iiot_gateway.mqtt.broker import BrokerSection
from iiot_gateway.registry.keys import KeyKind, new_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from iiot_gateway.config.schema import Config
    from iiot_gateway.pipeline.supervisor import Service
    from iiot_gateway.pipeline.views import Views

DEVICES = 4
RATE_PER_S = 4.0
KEYS = "device-keys.csv"
PASSWORD = "broker.password"  # noqa: S105 - a file's name
LABEL = "demo"
LEDGER = "ledger.json"
"""What the devices have sent, if they end; see `simulate devices --ledger`."""
TEXT = """
[devices]

[mqtt]
broker_url = "embedded"
topic_prefix = "iiot"

[mqtt_consumer]
broker_url = "embedded"
profile = "iotflow"
topics = ["iotflow/devices/+/telemetry/+", "iotflow/devices/+/status/+"]
"""
BROKER = f"""
username = "gateway"
password_file = "{PASSWORD}"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast the devices send, and how much."""

    rate_per_s: float | None = RATE_PER_S
    """Messages of all devices together; None for as fast as they can."""
    count: int | None = None


def prepare(folder: Path) -> None:
    """Make the broker's password if there is none. Raises GatewayError."""
    path = folder / PASSWORD
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(12) + "\n", encoding="utf-8")
    except OSError as error:
        raise GatewayError(f"{path} cannot be written: {error.strerror}; name another folder with --folder") from error


def make_keys(config: Config) -> tuple[str, str]:
    """Return a new administrator's key and a new registration key, and revoke those of the start before."""
    from iiot_gateway.registry.building import open_registry

    administrator, registration = new_key(KeyKind.ADMINISTRATOR), new_key(KeyKind.REGISTRATION)
    registry = open_registry(config)
    if registry is None:
        raise GatewayError("the folder is that of another demo, without [devices]: name another one with --folder")
    with closing(registry):
        for entry in registry.keys.all():
            if entry.label == LABEL:
                registry.keys.revoke(entry.id)
        registry.keys.add(administrator, KeyKind.ADMINISTRATOR, label=LABEL)
        registry.keys.add(registration, KeyKind.REGISTRATION, label=LABEL)
    return administrator, registration


def devices(config: Config, folder: Path, registration_key: str, *, pace: Pace, ready: Callable[[Views], bool]) -> Service:
    """Return the devices, which send as soon as the gateway listens: half of them over HTTP, half over MQTT.

    With a count they end, and their tally is written then.
    """
    from iiot_gateway.plant.device import DeviceTally
    from iiot_gateway.plant.device_fleet import DeviceFleet, KeyBook
    from iiot_gateway.plant.posting import Door

    path = str(folder / KEYS)
    known = list(read_keys(path, may_be_missing=True).items())
    halves = (known[: DEVICES // 2], known[DEVICES // 2 : DEVICES])
    # Both kinds of devices add their keys to one file.
    writing = threading.Lock()

    def learned(device_id: str, key: str) -> None:
        with writing:
            add_key(path, device_id, key)

    tally, ended = DeviceTally(), threading.Event()
    fleets = [
        DeviceFleet(
            door=Door(f"http://{config.http.listen}"),
            broker=broker,
            devices=DEVICES // 2,
            rate_per_s=None if pace.rate_per_s is None else pace.rate_per_s / 2,
            seed=1,
            count=None if pace.count is None else (pace.count + part) // 2,
            tally=tally,
            keys=KeyBook(registration_key=registration_key, known=dict(half), learned=learned),
        )
        for part, (half, broker) in enumerate(
            zip(halves, (None, {"broker_url": f"mqtt://{config.one(BrokerSection).listen}"}), strict=True)
        )
    ]

    async def run_devices(views: Views) -> None:
        """Let the devices send until the gateway ends."""
        try:
            while not await anyio.to_thread.run_sync(ready, views):  # noqa: ASYNC110 - no event
                await anyio.sleep(0.1)
            async with anyio.create_task_group() as tasks:
                for fleet in fleets:
                    tasks.start_soon(_run, fleet.run)
            if not ended.is_set():
                (folder / LEDGER).write_text(json.dumps(tally.document(), indent=2) + "\n", encoding="utf-8")
        finally:
            ended.set()
            for fleet in fleets:
                fleet.end()

    return run_devices


async def _run(fleet: Callable[[], None]) -> None:
    await anyio.to_thread.run_sync(fleet, limiter=anyio.CapacityLimiter(1), abandon_on_cancel=True)


def greeting(config: Config, path: Path, administrator: str) -> list[str]:
    """Return the text for a newcomer."""
    host, _, port = config.one(BrokerSection).listen.rpartition(":")
    page = f"http://{config.http.listen}"
    password = path.parent / PASSWORD
    return [
        f"iiot-gateway demo: {DEVICES} simulated devices, which have registered themselves; two send over HTTP, two over MQTT.",
        f"  page     {page}/   section Devices, with this administrator's key:",
        f"  key      {administrator}",
        "           (valid until the next start of the demo)",
        "  try      open a device, send it a command, and watch it being acknowledged; rotate its key; disable it",
        f"  ask      curl -H 'X-API-Key: KEY' {page}/api/v1/devices",
        f"  values   mosquitto_sub -h {host} -p {port} -u gateway -P \"$(cat {password})\" -t 'iotflow/#' -v",
        f"  devices  {command(f'devices list --config {path}')}",
        f"  history  {command(f'history --config {path}')}",
        f"  status   {command(f'status --config {path}')}",
        f"  go on    edit {path}, then: {command(f'run --config {path}')}",
        "Ctrl-C ends it; a second start goes on with the same devices.",
    ]
