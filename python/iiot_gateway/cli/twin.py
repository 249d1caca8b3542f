"""`twin`: emulates the whole system: nodes in QEMU, the air between them, and the gateway with its web page."""

from __future__ import annotations

import argparse
import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

from iiot_gateway.cli.demo import with_free_ports
from iiot_gateway.cli.streams import STANDARD_OUTPUT
from iiot_gateway.config.load import DEFAULT_FILE, load, load_text
from iiot_gateway.config.schema import Config
from iiot_gateway.config.secret import Secret
from iiot_gateway.devices.air import AirPlan
from iiot_gateway.devices.board import REGIONS, NodePlan
from iiot_gateway.devices.simulation import Simulation
from iiot_gateway.downlink.section import DownlinkSection
from iiot_gateway.errors import GatewayError
from iiot_gateway.line_writer import LineWriter
from iiot_gateway.mqtt.broker import EMBEDDED, BrokerSection
from iiot_gateway.sinks.mqtt.section import MqttSection
from iiot_gateway.sources.serial.section import SerialSection

GATEWAY_ADDRESS = 2
MOST_NODES = 8
"""The gateway node remembers two runs of this many nodes."""
SOURCE = "twin"
CONFIG = """\
[mqtt]
broker_url = "embedded"
[history]
[log]
level = "error"
"""
"""The configuration if there is no other. Its files are removed at the end of the command. All parts run in this process, so no report
says which of them left first."""


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return a function that reads a whole number between two limits."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"expected a whole number from {low} to {high}, found {text!r}")
        return int(text)

    return read


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the number of nodes, and the quality of the air."""
    parser.add_argument("--nodes", type=whole(1, MOST_NODES), default=3, metavar="N", help="sensor nodes; 3 by default")
    parser.add_argument("--loss", type=whole(0, 90), default=0, metavar="PERCENT", help="frames that are lost, each way")
    parser.add_argument("--bursts", action="store_true", help="lose frames in bursts of twenty seconds")
    parser.add_argument("--interval", type=whole(1, 3600), default=10, metavar="S", help="seconds between two readings; 10 by default")
    parser.add_argument("--region", choices=sorted(REGIONS), default="eu868", help="the region in which the nodes send; eu868 by default")
    parser.add_argument(
        "--firmware", default="firmware/target/qemu", metavar="FOLDER", help="where scripts/build-firmware.sh put it; firmware/target/qemu"
    )


def plans(args: argparse.Namespace, key: bytes) -> list[NodePlan]:
    """Return the gateway node and the sensor nodes; each sensor node is further away than the one before."""
    folder, seed = Path(args.firmware), int.from_bytes(os.urandom(2), "big")
    addresses = [address for address in range(1, args.nodes + 2) if address != GATEWAY_ADDRESS]
    gateway = NodePlan(firmware=folder / "node2-firmware", address=GATEWAY_ADDRESS, seed=seed, region=args.region, distance_m=0.0)
    return [
        gateway,
        *(
            NodePlan(
                firmware=folder / "node1-firmware",
                address=address,
                interval_s=args.interval,
                seed=seed + address,
                key=key,
                region=args.region,
                distance_m=100.0 * (number + 1),
            )
            for number, address in enumerate(addresses[: args.nodes])
        ),
    ]


def configuration(args: argparse.Namespace, folder: Path) -> Config:
    """Return the named configuration or `config.toml`; without either, one with its own broker and history in the folder."""
    if args.config or Path(DEFAULT_FILE).exists():
        return load(args.config)
    return with_free_ports(load_text(CONFIG, place="twin", base=folder, environ=os.environ))


def greeting(args: argparse.Namespace, config: Config) -> list[str]:
    """Return the text that says what runs, and where to look."""
    lines = [f"{args.nodes} sensor nodes and a gateway node run in QEMU ({args.region}); {args.loss} % of all frames are lost each way."]
    if config.http.enabled:
        lines.append(f"  page     http://{config.http.listen}/")
    if config.one(DownlinkSection).sink in config.of(MqttSection):
        section = config.of(MqttSection)[config.one(DownlinkSection).sink]
        prefix, topic = section.topic_prefix, f"{section.topic_prefix}/node1/set/led"
        if section.broker_url == EMBEDDED:
            host, _, port = config.one(BrokerSection).listen.rpartition(":")
            lines.append(f"  values   mosquitto_sub -h {host} -p {port} -t '{prefix}/#' -v")
            lines.append(f"  command  mosquitto_pub -h {host} -p {port} -t {topic} -m on")
        else:
            lines.append(f"  command  publish `on` to {topic}")
    return [*lines, "Ctrl-C ends it."]


def run(args: argparse.Namespace) -> int:
    """Run until a signal. Raises GatewayError if there is no QEMU or no firmware."""
    from iiot_gateway.cli.run import start

    with tempfile.TemporaryDirectory(prefix="iiot-twin-") as folder:
        config = configuration(args, Path(folder))
        if SOURCE in config.of(SerialSection):
            raise GatewayError(f"the configuration has a source {SOURCE!r} already; give [serial.{SOURCE}] another name")
        key = bytes.fromhex(config.one(DownlinkSection).key.reveal()) if config.one(DownlinkSection).key else secrets.token_bytes(16)
        air = AirPlan(loss=args.loss / 100, bursts=args.bursts, seed=int.from_bytes(os.urandom(4), "big"))
        with Simulation(Path(folder), plans(args, key), air) as simulation:
            for address, board in simulation.boards.items():
                # Each node has its own weather, so that its values differ on the page.
                board.chips.sht31.temperature = 18.0 + 1.5 * address
                board.chips.sht31.humidity = 40.0 + 3.0 * address
            port = simulation.boards[GATEWAY_ADDRESS].port
            config = config.having(SOURCE, SerialSection(port=port))
            if config.of(MqttSection):
                sink = (
                    config.one(DownlinkSection).sink
                    if config.one(DownlinkSection).sink in config.of(MqttSection)
                    else next(iter(config.of(MqttSection)))
                )
                config = config.having("downlink", DownlinkSection(key=Secret(key.hex()), source=SOURCE, sink=sink))
            LineWriter(STANDARD_OUTPUT).line("\n".join(greeting(args, config)))
            return start(config)
