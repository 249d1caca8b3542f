"""The trial of `doctor` for each serial port."""

from __future__ import annotations

from collections.abc import Iterator

from iiot_gateway.config.schema import Config
from iiot_gateway.errors import SourceUnavailable
from iiot_gateway.findings import Finding, Running
from iiot_gateway.sources.serial.section import SerialSection
from iiot_gateway.sources.serial.source import REMEDY, open_port


def serial_ports(config: Config, running: Running) -> Iterator[Finding]:
    """Check that each port opens for this user exclusively, or is open in the running gateway."""
    for name, section in config.of(SerialSection).items():
        try:
            port = open_port(section)
        except SourceUnavailable as error:
            condition, detail = error.args
            if condition == "port_busy" and (holder := _holder(running, name)):
                yield Finding(f"{name} {section.port}", ok=True, detail=f"is open in the gateway that runs ({holder})")
                continue
            yield Finding(f"{name} {section.port}", ok=False, detail=f"{condition}: {detail}", remedy=REMEDY[condition])
        else:
            port.close()
            yield Finding(f"{name} {section.port}", ok=True, detail=f"{port.port} opens at {section.baud} baud")


def _holder(running: Running, name: str) -> str:
    """Return the state of the running gateway's source with this name if its port is open; "" otherwise."""
    status = running()
    source = {} if status is None else status["source"].get(name, {})
    if status is not None and source.get("state") in ("running", "telemetry_silent"):
        return f"process {status['gateway']['pid']}: {source['state']}, {source['bytes']} bytes"
    return ""
