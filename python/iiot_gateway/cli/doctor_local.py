"""What `doctor` tries on this machine: the journal's place, probe-rs and its probes, serial ports."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from iiot_gateway.cli.doctor import Finding
from iiot_gateway.config.schema import Config
from iiot_gateway.errors import GatewayError
from iiot_gateway.sources.probe_rs.command import environment
from iiot_gateway.sources.probe_rs.conditions import ANSI, REMEDY, Ending, classify
from iiot_gateway.sources.probe_rs.program import find, not_started
from iiot_gateway.sources.probe_rs.section import ProbeRsSection
from iiot_gateway.sources.probe_rs.section import probes as configured_probes
from iiot_gateway.sources.serial.section import SerialSection

TOOL_TIMEOUT_S = 20


def journal(config: Config) -> Iterator[Finding]:
    """See whether the folder is writable, with room for what the journal may grow to."""
    path = Path(config.journal_path())
    subject = f"journal {path}"
    folder = path.parent
    if not folder.is_dir():
        yield Finding(subject, ok=False, detail="its folder does not exist", remedy=f"mkdir -p {folder}")
        return
    if not os.access(folder, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.R_OK | os.W_OK)):
        yield Finding(
            subject,
            ok=False,
            detail="may not be written by this user",
            remedy="set journal.path to a place of your own, or change its owner",
        )
        return
    free = shutil.disk_usage(folder).free
    used = path.stat().st_size if path.exists() else 0
    needed = config.journal.max_bytes - used
    if free < needed:
        yield Finding(
            subject,
            ok=False,
            detail=f"{free / 1e6:.0f} MB are free, and the journal may grow by {needed / 1e6:.0f} MB",
            remedy=f"free some room, or set journal.max_bytes to {max(1048576, free // 2 + used)}",
        )
        return
    yield Finding(subject, ok=True, detail=f"writable, {free / 1e6:.0f} MB free")


def probes(config: Config) -> Iterator[Finding]:
    """See whether probe-rs is there, sees the probe and knows the chip, and whether there is a firmware file."""
    for name, section in configured_probes(config).items():
        yield from _probe(name, section)


def _probe(name: str, section: ProbeRsSection) -> Iterator[Finding]:
    found = find(section.probe_rs_path)
    said = found if isinstance(found, Ending) else _run([found, "--version"])
    if isinstance(said, Ending):
        yield Finding(f"{name} probe-rs", ok=False, detail=said.detail, remedy=REMEDY[said.condition])
        return
    yield Finding(f"{name} probe-rs", ok=True, detail=said or "does not tell its version")
    program = str(found)
    listed = _output([program, "list"])
    wanted = section.probe_id.lower()
    lines = [line for line in listed.splitlines() if line.startswith("[")]
    if not lines:
        yield Finding(
            f"{name} probe",
            ok=False,
            detail="no probe is plugged in, or this user may not use it",
            remedy=REMEDY["no_probe"],
        )
    elif wanted and not any(wanted in line.lower() for line in lines):
        yield Finding(
            f"{name} probe",
            ok=False,
            detail=f"{section.probe_id} is not among: {'; '.join(lines)}",
            remedy=REMEDY["several_probes"],
        )
    elif not wanted and len(lines) > 1:
        yield Finding(f"{name} probe", ok=False, detail="; ".join(lines), remedy=REMEDY["several_probes"])
    else:
        yield Finding(f"{name} probe", ok=True, detail=next((line for line in lines if wanted in line.lower()), lines[0]))
    known = _output([program, "chip", "info", section.chip])
    yield Finding(
        f"{name} chip {section.chip}",
        ok=bool(known),
        detail="known" if known else "not known to probe-rs",
        remedy="" if known else REMEDY["chip_not_found"],
    )
    if section.firmware_path:
        there = Path(section.firmware_path).is_file()
        yield Finding(
            f"{name} firmware",
            ok=there,
            detail=section.firmware_path,
            remedy="" if there else REMEDY["firmware_missing"],
        )


def _run(command: list[str]) -> str | Ending:
    """Return what a short command prints, or why it failed."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TOOL_TIMEOUT_S,
            env=environment(os.environ),
            check=False,
        )
    except OSError as error:
        return not_started(command[0], error)
    except subprocess.TimeoutExpired:
        return Ending("ended", f"{' '.join(command)} took more than {TOOL_TIMEOUT_S} s")
    if done.returncode:
        return classify(done.returncode, "", done.stderr.decode("utf-8", "replace"), had_output=False)
    return ANSI.sub("", done.stdout.decode("utf-8", "replace")).strip()


def _output(command: list[str]) -> str:
    """Return what a short command prints, "" if it fails."""
    said = _run(command)
    return said if isinstance(said, str) else ""


def serial_ports(config: Config) -> Iterator[Finding]:
    """See whether each port opens for this user alone, or is open in the gateway that runs."""
    from iiot_gateway.errors import SourceUnavailable
    from iiot_gateway.sources.serial.source import REMEDY as SERIAL_REMEDY
    from iiot_gateway.sources.serial.source import open_port

    for name, section in config.of(SerialSection).items():
        try:
            port = open_port(section)
        except SourceUnavailable as error:
            condition, detail = error.args
            if condition == "port_busy" and (holder := _holder(config, name)):
                yield Finding(f"{name} {section.port}", ok=True, detail=f"is open in the gateway that runs ({holder})")
                continue
            yield Finding(f"{name} {section.port}", ok=False, detail=f"{condition}: {detail}", remedy=SERIAL_REMEDY[condition])
        else:
            port.close()
            yield Finding(f"{name} {section.port}", ok=True, detail=f"{port.port} opens at {section.baud} baud")


def _holder(config: Config, name: str) -> str:
    """Say how the running gateway's source of this name does, if it has its port open; "" otherwise."""
    from iiot_gateway.pipeline.control import ask

    with suppress(GatewayError):
        status = ask(config.journal_path(), {"command": "status"})
        source = status["source"].get(name, {})
        if source.get("state") in ("running", "telemetry_silent"):
            return f"process {status['gateway']['pid']}: {source['state']}, {source['bytes']} bytes"
    return ""
