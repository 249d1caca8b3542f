"""The trials of `doctor` for probe-rs and its probes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from iiot_gateway.config.schema import Config
from iiot_gateway.findings import Finding
from iiot_gateway.sources.probe_rs.command import environment
from iiot_gateway.sources.probe_rs.conditions import ANSI, REMEDY, Ending, classify
from iiot_gateway.sources.probe_rs.program import find, not_started
from iiot_gateway.sources.probe_rs.section import ProbeRsSection
from iiot_gateway.sources.probe_rs.section import probes as configured_probes

TOOL_TIMEOUT_S = 20


def probes(config: Config) -> Iterator[Finding]:
    """Check that probe-rs is installed, sees the probe and knows the chip, and that the firmware file exists."""
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
    """Return the output of a short command, or the reason why it failed."""
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
    """Return the output of a short command; "" if the command fails."""
    said = _run(command)
    return said if isinstance(said, str) else ""
