"""`backup DIR` copies all data of a gateway into a new folder; `backup verify DIR` says whether such a folder is complete and intact."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from iiot_gateway.config.load import DEFAULT_FILE, load
from iiot_gateway.errors import GatewayError
from iiot_gateway.visible import visible


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the folder."""
    parser.add_argument(
        "words", nargs="+", metavar="[verify] DIR", help="the new folder, which must not exist; with verify, one that is there"
    )
    parser.add_argument(
        "--restore", action="store_true", help="with verify: also restore it into a temporary folder beside it, open it there, and count"
    )


def run(args: argparse.Namespace) -> int:
    """Make or verify a backup."""
    match args.words:
        case ["verify"]:
            raise GatewayError("backup verify needs the folder of a backup; ./verify is a folder of that name")
        case ["verify", folder]:
            return _verify(Path(folder), restore=args.restore)
        case [folder] if not args.restore:
            return _make(args.config, Path(folder))
    raise GatewayError("expected one folder: `backup DIR` or `backup verify DIR`")


def _make(config_path: str | None, folder: Path) -> int:
    from iiot_gateway.backup.making import make

    config = load(config_path)
    is_default = config_path is None and Path(DEFAULT_FILE).exists()
    told = _on_terminal if sys.stderr.isatty() else _nowhere
    manifest = make(config, DEFAULT_FILE if is_default else config_path, folder, told)
    print(f"{folder}: {len(manifest.files)} files, {sum(entry.bytes for entry in manifest.files) / 1e6:.1f} MB")
    for path in manifest.missing:
        print(f"not there, so not in it: {visible(path)}")
    if secret := [entry.path for entry in manifest.files if entry.is_secret]:
        print(f"secrets are in it: keep it as safe as {', '.join(map(visible, secret))}")
    for sentence in manifest.elsewhere:
        print(f"not in it: {sentence}")
    if manifest.environment:
        print(f"values of the environment are not in it: {', '.join(manifest.environment)}")
    return 0


def _on_terminal(name: str, copied: int, total: int) -> None:
    share = f"{copied * 100 // total:3d} %" if total else ""
    print(f"\r\x1b[K{name} {share}", end="", file=sys.stderr, flush=True)


def _nowhere(_name: str, _copied: int, _total: int) -> None:
    pass


def _verify(folder: Path, *, restore: bool) -> int:
    from iiot_gateway.backup.trying import tried
    from iiot_gateway.backup.verifying import verify

    manifest, faults = verify(folder)
    counts: dict[str, int] = {}
    if restore and not faults:
        counts, faults = tried(folder)
    for fault in faults:
        print(visible(fault), file=sys.stderr)
    if faults:
        print(f"{folder}: not usable", file=sys.stderr)
        return 1
    ledger = manifest.ledger
    print(f"{folder}: whole; made by {manifest.made_by}, begun {manifest.begun_at}, finished {manifest.finished_at}")
    print(f"accepted {ledger['intake']['accepted']} frames, of which the journal holds {ledger['journal']['frames']}; the ledger balances")
    for entry in manifest.files:
        rows = "" if entry.rows is None else f", {sum(entry.rows.values())} rows, version {entry.version}"
        print(f"{entry.name}: {entry.bytes} bytes{rows}")
    if counts:
        print("restored and opened: " + ", ".join(f"{number} {what}" for what, number in counts.items()))
    return 0
