"""The serial source: a port, or a USB adapter wherever it turns up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from iiot_gateway.components import ByteSource
from iiot_gateway.sources.serial.section import SerialSection, faults

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config
    from iiot_gateway.findings import Finding, Running
    from iiot_gateway.sources.base import Intake, Source


def build(name: str, section: SerialSection, intake: Intake) -> Source:
    """Make the source."""
    from iiot_gateway.sources.serial.source import SerialSource

    return SerialSource(name, section, intake)


def _doctor(config: Config, running: Running) -> Iterator[Finding]:
    """Try each port."""
    from iiot_gateway.sources.serial.doctor import serial_ports

    return serial_ports(config, running)


COMPONENT = ByteSource(name="serial", section=SerialSection, faults=faults, build=build, doctor=_doctor)
