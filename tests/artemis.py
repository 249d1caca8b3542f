"""Apache ActiveMQ Artemis as a broker of the tests: another implementation of MQTT, whose queues are on the disk.

The archive comes from Maven once and is unpacked into `target/`; each server is an instance of its own.
"""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
from pathlib import Path

from servers import Server

VERSION = "2.40.0"
TARGET = Path(__file__).parent.parent / "target"


def home(maven: str) -> Path:
    """Return the folder of the unpacked archive; fetch it if it is not there."""
    unpacked = TARGET / f"apache-artemis-{VERSION}"
    if not unpacked.is_dir():
        artifact = f"org.apache.activemq:apache-artemis:{VERSION}:tar.gz:bin"
        copy = ["-q", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={TARGET}", "-Dmdep.useBaseVersion=true"]
        subprocess.run([maven, *copy], cwd=TARGET, check=True, timeout=600)
        partial = TARGET / f"artemis.{os.getpid()}"
        with tarfile.open(TARGET / f"apache-artemis-{VERSION}-bin.tar.gz") as archive:
            archive.extractall(partial, filter="tar")
        (partial / unpacked.name).rename(unpacked)
        partial.rmdir()
    return unpacked


class Artemis(Server):
    """One node that takes anybody, over MQTT."""

    programs = ("mvn",)
    ready_s = 120.0
    """Two cores that are busy otherwise need half a minute."""
    redelivery = "unmarked"

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
            subprocess.run(create, check=True, capture_output=True, timeout=120)
            profile = instance / "etc/artemis.profile"
            profile.write_text(profile.read_text().replace("-Xms512M -Xmx2G", "-Xms128M -Xmx512M"))
            # On a disk that is fuller than 90 % it would take nothing from publishers.
            settings = instance / "etc/broker.xml"
            settings.write_text(re.sub(r"(<max-disk-usage>)\d+", r"\g<1>100", settings.read_text()))
        return [str(instance / "bin/artemis"), "run"]
