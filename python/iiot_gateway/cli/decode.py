"""`decode FILE`: shows the points that a log would give, without a journal and without sending anything."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from iiot_gateway.cli.documents import DocumentFile, make_decoder
from iiot_gateway.config.load import load
from iiot_gateway.config.wiring import profile_path, source_rules
from iiot_gateway.visible import visible, visible_bytes

if TYPE_CHECKING:
    from iiot_gateway._native import Decoded, Decoder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the file and the selection of the output."""
    parser.add_argument("file", metavar="FILE", help="a log, plain or gzip, or a recording; - reads standard input")
    parser.add_argument("--profile", metavar="NAME|FILE", help="the profile; by default that of the configuration")
    parser.add_argument("--only", choices=["topics", "lines", "rejects"], help="print only these")


def run(args: argparse.Namespace) -> int:
    """Print topics, lines and rejects in their order. Return 1 if there was a reject, or if the file is damaged or has no document."""
    from iiot_gateway.profile import read_profile

    config = load(args.config)
    given = source_rules(config, "decode", config.gateway)
    profile = read_profile(profile_path(Path(), args.profile) if args.profile else given.profile)
    file = DocumentFile(args.file)
    documents = rejects = 0
    ignored: Counter[str] = Counter()
    for topic, decoded in _decoded(make_decoder(profile, given), file):
        documents += decoded.documents
        ignored.update(decoded.ignored)
        rejects += _print(topic, decoded, args.only)
    if ignored:
        named = ", ".join(f"{count} {name}" for name, count in ignored.items())
        print(f"iiot-gateway: ignored, as the profile says: {named}", file=sys.stderr)
    if not documents:
        print(f"iiot-gateway: {file.without_documents}", file=sys.stderr)
    return 1 if rejects or file.is_damaged or not documents else 0


def _decoded(decoder: Decoder, file: DocumentFile) -> Iterator[tuple[str | None, Decoded]]:
    """Yield what chunks and messages give, each message with its topic."""
    for arrival_ns, topic, content in file.pieces():
        at_ns = time.time_ns() if arrival_ns is None else arrival_ns
        yield topic, decoder.push(content, at_ns) if topic is None else decoder.message(content, at_ns, topic=topic)
    yield None, decoder.finish(time.time_ns())


def _print(topic: str | None, decoded: Decoded, only: str | None) -> int:
    out = sys.stdout.buffer
    if only in (None, "topics"):
        for published, payload, retain in decoded.publishes():
            out.write(b"%b = %b%b\n" % (visible_bytes(published), visible_bytes(payload), b" (retained)" if retain else b""))
    if only in (None, "lines"):
        # Split at line feeds only.
        out.writelines(visible_bytes(line) + b"\n" for line in decoded.lines().split(b"\n") if line)
    rejects = decoded.rejects()
    if only in (None, "rejects"):
        under = "" if topic is None else f" under {visible(topic)}"
        for offset, reason, excerpt in rejects:
            out.write(f"reject{under} at byte {offset}: {visible(reason)}: {visible(excerpt)}\n".encode())
    out.flush()
    return len(rejects)
