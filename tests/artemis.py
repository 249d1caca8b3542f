"""Apache ActiveMQ Artemis as a broker of the tests: another implementation of MQTT, with its queues on the disk; alone, or as a cluster.

The archive comes from Maven once and is unpacked into `target/`; each server is an instance of its own.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from servers import Server, free_port, until

VERSION = "2.40.0"
TARGET = Path(__file__).parent.parent / "target"
EXAMPLE = Path(__file__).parent.parent / "deploy" / "fleet" / "broker.xml"
ONE_COMPILER = "-XX:TieredStopAtLevel=1"
"""The second compiler of the JVM costs more than it gains within a test."""
CLUSTERED = "AMQ221027"
"""What a node logs when it has found another."""


def home(maven: str) -> Path:
    """Return the folder of the unpacked archive; fetch it if it is not there."""
    unpacked = TARGET / f"apache-artemis-{VERSION}"
    if not unpacked.is_dir():
        artifact = f"org.apache.activemq:apache-artemis:{VERSION}:tar.gz:bin"
        copy = ["-q", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={TARGET}", "-Dmdep.useBaseVersion=true"]
        subprocess.run([maven, *copy], cwd=TARGET, check=True, timeout=600)
        partial = TARGET / f"artemis.{os.getpid()}"
        partial.mkdir()
        archive = TARGET / f"apache-artemis-{VERSION}-bin.tar.gz"
        subprocess.run(["tar", "--extract", "--gzip", "--file", archive, "--directory", partial], check=True)
        (partial / unpacked.name).rename(unpacked)
        partial.rmdir()
    return unpacked


class Artemis(Server):
    """One node that takes anybody, over MQTT."""

    programs = ("mvn",)
    ready_s = 120.0
    """Two cores that are busy otherwise need half a minute."""
    redelivery = "unmarked"

    def __init__(self, folder: Path, *, heap_mb: int = 512) -> None:
        super().__init__(folder)
        self.heap_mb = heap_mb

    @property
    def url(self) -> str:
        """Its address."""
        return f"mqtt://127.0.0.1:{self.port}"

    def command(self, program: str) -> list[str]:
        """Make the instance at the first start, and return the command line."""
        instance = self.folder / "instance"
        if not instance.is_dir():
            unused = [
                f"--no-{part}" for part in ("amqp-acceptor", "hornetq-acceptor", "stomp-acceptor", "mqtt-acceptor", "web", "autotune")
            ]
            access = ["--silent", "--user", "admin", "--password", "admin", "--allow-anonymous"]
            place = ["--host", "127.0.0.1", "--default-port", str(self.port), "--nio"]
            create = [str(home(program) / "bin/artemis"), "create", str(instance), *access, *place, *unused]
            environ = {**os.environ, "JDK_JAVA_OPTIONS": ONE_COMPILER}
            subprocess.run(create, check=True, capture_output=True, timeout=120, env=environ)
            profile = instance / "etc/artemis.profile"
            options = f"-Xms128M -Xmx{self.heap_mb}M {ONE_COMPILER}"
            profile.write_text(profile.read_text().replace("-Xms512M -Xmx2G", options))
            self.settle(instance / "etc/broker.xml")
        return [str(instance / "bin/artemis"), "run"]

    def settle(self, settings: Path) -> None:
        """Change what a node is configured by."""
        # On a disk that is fuller than 90 % it would take nothing from publishers.
        settings.write_text(re.sub(r"(<max-disk-usage>)\d+", r"\g<1>100", settings.read_text()))


class ArtemisNode(Artemis):
    """A node of a cluster, configured by the file of the example; ports, hosts and the password come as they do there."""

    def __init__(self, folder: Path, *, heap_mb: int) -> None:
        super().__init__(folder, heap_mb=heap_mb)
        self.cluster_port = free_port()
        self.peer_port = 0

    def settle(self, settings: Path) -> None:
        """Take the example's file."""
        settings.write_text(EXAMPLE.read_text())
        places = {"node.host": "127.0.0.1", "peer.host": "127.0.0.1", "listen.host": "127.0.0.1"}
        ports = {"mqtt.port": self.port, "node.port": self.cluster_port, "peer.port": self.peer_port}
        properties = {"node.name": f"node{self.port}", "disk.most": 100, **places, **ports}
        profile = settings.with_name("artemis.profile")
        given = " ".join(f"-D{name}={value}" for name, value in properties.items())
        profile.write_text(f'{profile.read_text()}\nJAVA_ARGS_APPEND="{given}"\nexport ARTEMIS_CLUSTER_PASSWORD=cluster\n')


class ArtemisCluster(Server):
    """Two nodes that know each other; a message published at one reaches a subscriber at the other."""

    programs = ("mvn",)
    redelivery = "unmarked"

    def __init__(self, folder: Path, *, heap_mb: int = 512) -> None:
        super().__init__(folder)
        self.nodes: list[ArtemisNode] = []
        for name in ("a", "b"):
            (folder / name).mkdir()
            self.nodes.append(ArtemisNode(folder / name, heap_mb=heap_mb))
        first, second = self.nodes
        first.peer_port, second.peer_port = second.cluster_port, first.cluster_port

    def start(self) -> ArtemisCluster:
        """Start both and wait until they have found each other."""
        for node in self.nodes:
            node.begin()
        for node in self.nodes:
            node.wait_ready()
        for node in self.nodes:
            until(lambda node=node: CLUSTERED in node.log_path.read_text(errors="replace"), "a cluster of two nodes", node.ready_s)
        return self

    def stop(self) -> None:
        """End both."""
        for node in self.nodes:
            node.stop()
