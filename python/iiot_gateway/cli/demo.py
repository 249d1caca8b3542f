"""`demo`: a whole system on one machine without any installation. Its configuration can name real servers later."""

from __future__ import annotations

import argparse
import json
import socket
import sys
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from iiot_gateway.cli import demo_devices
from iiot_gateway.cli.rejects import count
from iiot_gateway.cli.simulate import MAX_PACE, rate
from iiot_gateway.cli.streams import STANDARD_OUTPUT
from iiot_gateway.config.load import load, load_text
from iiot_gateway.config.schema import Config
from iiot_gateway.errors import GatewayError, command
from iiot_gateway.line_writer import LineWriter
from iiot_gateway.mqtt.broker import BrokerSection
from iiot_gateway.mqtt.connection import broker_access
from iiot_gateway.sinks.postgresql.section import PostgresqlSection
from iiot_gateway.sources.mqtt_consumer.section import MqttConsumerSection
from iiot_gateway.sources.simulate.section import SimulateSection

if TYPE_CHECKING:
    from iiot_gateway.pipeline.supervisor import Service
    from iiot_gateway.pipeline.views import Views

PATIENCE_S = 10.0
"""After this time the addresses are printed, even if the broker is not ready."""
FOLDERS = {"nodes": "iiot-demo", "factory": "iiot-demo-factory", "devices": "iiot-demo-devices"}
NAME = "config.toml"
HEAD = """\
# Made by `iiot-gateway demo`, and yours from now on: it is never written again.
# To go on with real servers add their sections ([influxdb], [mqtt.site]) and a real source ([serial], [gateway], [mqtt_consumer]); what is
# not needed any more may go. `iiot-gateway config template` shows every key; `iiot-gateway run` runs it without this command.
"""
NODES = """
[simulate]
nodes = 3
rate_per_s = 3

[mqtt]
broker_url = "embedded"
topic_prefix = "iiot"
"""
FACTORY = """
[mqtt_consumer]
broker_url = "embedded"
topics = ["factory/dosing/consumption", "factory/equipment/+", "factory/inventory/levels", "factory/batch/events"]
profile = "factory-dosing"
tags = { facility = "main_factory", system = "chemical_dosing" }
"""
TAIL = """
[broker]
listen = "127.0.0.1:1883"

[history]
path = "history.db"

[journal]
path = "journal.db"

[http]
listen = "127.0.0.1:5000"
"""
CONFIGS = {
    "nodes": HEAD + NODES + TAIL,
    "factory": HEAD + FACTORY + TAIL,
    "devices": HEAD + demo_devices.TEXT + TAIL.replace('1883"\n', '1883"' + demo_devices.BROKER),
}
MACHINES = 3
PACE = 10.0
"""How many times faster than real machines, so that values appear soon."""
LEDGER = "ledger.json"
"""The file with the counts of published messages, written if the machines end; see `simulate dosing --ledger`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the kind of demo and the folder."""
    parser.add_argument(
        "what",
        nargs="?",
        choices=tuple(CONFIGS),
        default="nodes",
        help="nodes (default): LoRa nodes; factory: machines of a dosing plant; devices: ESP32s that register themselves",
    )
    parser.add_argument(
        "--folder",
        metavar="DIR",
        help="where its files are, iiot-demo, iiot-demo-factory or iiot-demo-devices by default; a second start goes on there",
    )
    parser.add_argument(
        "--postgresql",
        metavar="URL",
        help="factory: rows for this database too, in the plant's tables, which are made there; PGPASSWORD holds the password",
    )
    parser.add_argument(
        "--rate",
        type=rate,
        default=argparse.SUPPRESS,
        metavar="R|max",
        help=f"factory: how many times faster than real machines, {PACE:g} by default; "
        f"devices: messages per second, {demo_devices.RATE_PER_S:g} by default",
    )
    parser.add_argument(
        "--count", type=count, metavar="N", help=f"factory, devices: they end after this many messages, and {LEDGER} says what they sent"
    )


def run(args: argparse.Namespace) -> int:
    """Make the configuration if there is none, print the addresses, and run until Ctrl-C."""
    if args.config:
        raise GatewayError(f"demo has a configuration of its own; `{command('run --config FILE')}` runs another")
    _must_fit(args)
    folder = Path(args.folder or FOLDERS[args.what])
    if args.what == "devices":
        demo_devices.prepare(folder)
    path, config = _configured(folder, CONFIGS[args.what], args.postgresql)
    if config.log.level == "info":
        # The demo prints enough itself; `run` with this file logs more.
        config = replace(config, log=replace(config.log, level="warning"))
    from iiot_gateway.cli.run import start

    words = partial(greeting, config, path)
    living: tuple[Service, ...] = ()
    if args.what == "devices":
        pace = demo_devices.Pace(rate_per_s=getattr(args, "rate", demo_devices.RATE_PER_S), count=args.count)
        administrator, registration = demo_devices.make_keys(config)
        words = partial(demo_devices.greeting, config, path, administrator)
        living = (demo_devices.devices(config, folder, registration, pace=pace, ready=_is_subscribed),)
    elif config.of(MqttConsumerSection):
        living = (machines(config, folder, pace=getattr(args, "rate", PACE) or MAX_PACE, count=args.count),)

    async def greet(views: Views) -> None:
        """Print the greeting once the brokers are ready, or after PATIENCE_S."""
        with anyio.move_on_after(PATIENCE_S):
            while not READY & await anyio.to_thread.run_sync(_states, views):  # noqa: ASYNC110 - no event
                await anyio.sleep(0.1)
        LineWriter(STANDARD_OUTPUT).line("\n".join(words()))

    return start(config, services=(greet, *living))


def _must_fit(args: argparse.Namespace) -> None:
    """Refuse options that would have no effect. Raises GatewayError."""
    for option, given in (("--rate", "rate" in args), ("--count", args.count)):
        if given and args.what == "nodes":
            raise GatewayError(f"{option} goes with `{command('demo factory')}` and `{command('demo devices')}`")
    if args.postgresql and args.what != "factory":
        raise GatewayError(f"--postgresql goes with `{command('demo factory')}`")


def _configured(folder: Path, text: str, postgresql: str | None) -> tuple[Path, Config]:
    """Return the configuration and its file, made if it is not there, and make the tables of a database. Raises GatewayError."""
    if postgresql is None:
        path = prepared(folder, text)
        return path, with_free_ports(load(str(path)))
    from iiot_gateway.cli.demo_postgresql import make_tables, section_text

    text += section_text(postgresql)
    load_text(text, base=folder)  # a fault in the URL must be reported before the file is made
    path = prepared(folder, text)
    config = load(str(path))
    make_tables(config, postgresql, path)
    return path, with_free_ports(config)


def machines(config: Config, folder: Path, *, pace: float, count: int | None) -> Service:
    """Return the machines, which publish as soon as the gateway listens. With a count they end, and then their tally is written."""
    from iiot_gateway.plant.fleet import Fleet

    fleet = Fleet(fleet_broker(config), devices=MACHINES, seed=1, clock="unix", pace=pace)
    ended = threading.Event()

    def publish() -> None:
        fleet.run(count=count, stop=ended.is_set)
        if not ended.is_set():
            (folder / LEDGER).write_text(json.dumps(fleet.tally.document(), indent=2) + "\n", encoding="utf-8")

    async def run_machines(views: Views) -> None:
        """Let the machines publish until they are done, or the gateway ends."""
        try:
            while not await anyio.to_thread.run_sync(_is_subscribed, views):  # noqa: ASYNC110 - no event
                await anyio.sleep(0.1)
            await anyio.to_thread.run_sync(publish, limiter=anyio.CapacityLimiter(1), abandon_on_cancel=True)
        finally:
            ended.set()

    return run_machines


def fleet_broker(config: Config) -> dict[str, Any]:
    """Return the settings with which the machines connect to the built-in broker."""
    url, username, password = broker_access(config, next(iter(config.of(MqttConsumerSection).values())))
    return {"broker_url": url, "username": username or None, "password": password or None}


READY = {"connected", "subscribed"}


def _states(views: Views) -> set[str]:
    """Return the states of the brokers and consumers."""
    document = views.status.document()
    brokers = (sink["state"] for name, sink in document["sinks"].items() if name.startswith("mqtt"))
    consumers = (source["state"] for name, source in document["source"].items() if name.startswith("mqtt_consumer"))
    return {*brokers, *consumers}


def _is_subscribed(views: Views) -> bool:
    """Return whether a message that is published now is accepted."""
    return "subscribed" in _states(views)


def prepared(folder: Path, text: str) -> Path:
    """Return the configuration file, made if it is not there. Raises GatewayError."""
    path = folder / NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise GatewayError(f"{path} cannot be written: {error.strerror}; name another folder with --folder") from error
    return path


def with_free_ports(config: Config) -> Config:
    """Return the configuration with free addresses, and print each address that is not the one in the file."""
    broker, page = free_address(config.one(BrokerSection).listen), free_address(config.http.listen)
    for what, wanted, found in (("broker", config.one(BrokerSection).listen, broker), ("page", config.http.listen, page)):
        if found != wanted:
            print(f"iiot-gateway: {wanted} is taken by another program; this time the {what} is at {found}", file=sys.stderr)
    config = config.having("broker", replace(config.one(BrokerSection), listen=broker))
    return replace(config, http=replace(config.http, listen=page))


def free_address(listen: str) -> str:
    """Return the address itself if its port is free, otherwise the same host with a free port."""
    host, _, port = listen.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    for number in (int(port), 0):
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((host.strip("[]"), number))
            except OSError:
                continue
            return f"{host}:{trial.getsockname()[1]}"
    return listen  # the start will report what is wrong with the address


def greeting(config: Config, path: Path) -> list[str]:
    """Return the text for a newcomer."""
    host, _, port = config.one(BrokerSection).listen.rpartition(":")
    prefix = config.topic_prefix()
    nodes = sum(section.nodes for section in config.of(SimulateSection).values())
    what, topic = (
        (f"{MACHINES} simulated machines", "factory/#")
        if config.of(MqttConsumerSection)
        else (f"{nodes} simulated nodes", f"{prefix}/+/temperature")
    )
    return [
        f"iiot-gateway demo: {what}, an MQTT broker, a history and a web page; all on this machine.",
        f"  page     http://{config.http.listen}/",
        f"  values   mosquitto_sub -h {host} -p {port} -t '{topic}' -v",
        f"  history  {command(f'history --config {path}')}",
        *([f"  rows     {command(f'postgresql query dosing_consumption --config {path}')}"] if config.of(PostgresqlSection) else []),
        f"  status   {command(f'status --config {path}')}",
        f"  go on    edit {path}, then: {command(f'run --config {path}')}",
        "Ctrl-C ends it; a second start continues the history.",
    ]
