"""`import telegraf FILE...`: writes a configuration and profiles for this gateway, and reports the result for each key."""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from iiot_gateway.config.files import read_text
from iiot_gateway.config.load import examine
from iiot_gateway.errors import ConfigError, GatewayError, ProfileInvalid
from iiot_gateway.telegraf.section import OUTCOMES, Section
from iiot_gateway.telegraf.translate import Translation, translate
from iiot_gateway.visible import visible

CONFIG = "config.toml"
SECRET_MODE = 0o600
TOTALS = {"taken": "taken over", "differs": "mean something else here", "left out": "left out"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the files, and the folder for the result."""
    programs = parser.add_subparsers(dest="program", required=True, metavar="PROGRAM")
    telegraf = programs.add_parser("telegraf", help="import telegraf.conf files")
    telegraf.add_argument("files", nargs="+", metavar="FILE", help="files that Telegraf reads together")
    telegraf.add_argument("--out", metavar="DIR", default=".", help="where the files are written; this folder by default")
    telegraf.add_argument("--json", action="store_true", help="print the report as JSON")


def run(args: argparse.Namespace) -> int:
    """Write the files and print the report. Return 1 if there is nothing to import."""
    translation = translate([(file, _text(file)) for file in args.files], os.environ, socket.gethostname())
    written = _write(translation, Path(args.out)) if translation.has_source else []
    if args.json:
        print(json.dumps(_report(translation, written), indent=2, ensure_ascii=False))
    else:
        _print(translation, written)
    if not translation.has_source:
        print("iiot-gateway: nothing was written: no [[inputs.mqtt_consumer]] can be taken over", file=sys.stderr)
        return 1
    _check(Path(args.out), list(translation.profiles))
    return 0


def _text(file: str) -> str:
    try:
        return read_text(file)
    except OSError as error:
        raise GatewayError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise GatewayError(f"{file} is not UTF-8 text (byte {error.start})") from error


def _write(translation: Translation, folder: Path) -> list[Path]:
    """Write all files. Raises GatewayError if one of them exists."""
    secrets = {name: secret.reveal() + "\n" for name, secret in translation.secrets.items()}
    texts = {CONFIG: translation.config, **translation.profiles, **secrets}
    if there := [str(folder / name) for name in texts if (folder / name).exists()]:
        raise GatewayError(f"{', '.join(there)}: there is such a file already; move it away, or name another folder with --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(folder / name, flags, SECRET_MODE if name in secrets else 0o644), "w", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise GatewayError(f"{error.filename or folder} cannot be written: {error.strerror}") from error
    return [folder / name for name in texts]


def _check(folder: Path, profiles: list[str]) -> None:
    """Check the written configuration in the same way as `check`. Raises ConfigError."""
    from iiot_gateway.profile import read_profile

    _config, faults = examine(str(folder / CONFIG), {})
    for name in profiles:
        try:
            read_profile(folder / name)
        except ProfileInvalid as error:
            faults += error.faults
    if faults:
        raise ConfigError(faults)


def _report(translation: Translation, written: list[Path]) -> dict[str, Any]:
    return {
        "sections": [
            {
                "file": section.place,
                "line": section.line,
                "name": section.name,
                "notes": section.notes,
                "keys": [
                    {"key": entry.key, "line": entry.line, "outcome": entry.outcome, "text": entry.text} for entry in section.entries()
                ],
            }
            for section in translation.sections
        ],
        "notes": translation.notes,
        "written": [str(path) for path in written],
        "totals": _totals(translation),
    }


def _totals(translation: Translation) -> dict[str, int]:
    counts = Counter(entry.outcome for section in translation.sections for entry in section.entries())
    return {outcome: counts[outcome] for outcome in OUTCOMES}


def _print(translation: Translation, written: list[Path]) -> None:
    for section in translation.sections:
        _print_section(section)
    for note in translation.notes:
        print(f"note: {visible(note)}\n")
    totals = _totals(translation)
    listed = ", ".join(f"{totals[outcome]} {TOTALS[outcome]}" for outcome in OUTCOMES)
    print(f"{sum(totals.values())} keys: {listed}")
    for path in written:
        print(f"written: {visible(str(path))}")


def _print_section(section: Section) -> None:
    entries = section.entries()
    print(visible(f"{section.place}:{section.line}: {section.name or 'keys outside of any table'}"))
    for note in section.notes:
        print(f"  note: {visible(note)}")
    width = max((len(entry.key) for entry in entries), default=0)
    for entry in entries:
        print(f"  {entry.outcome:<8}  {visible(entry.key):<{width}}  {visible(entry.text)}")
    print()
