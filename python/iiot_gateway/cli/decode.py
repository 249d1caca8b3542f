"""`decode FILE`: shows the points that a log would give, without a journal and without sending anything."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from iiot_gateway.config.load import load
from iiot_gateway.config.wiring import profile_path, source_rules
from iiot_gateway.errors import GatewayError
from iiot_gateway.visible import visible, visible_bytes

if TYPE_CHECKING:
    from iiot_gateway._native import Decoded, Decoder
    from iiot_gateway.sources.recorded_file import RecordedFile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the file and the selection of the output."""
    parser.add_argument("file", metavar="FILE", help="a log, plain or gzip, or a recording; - reads standard input")
    parser.add_argument("--profile", metavar="NAME|FILE", help="the profile; by default that of the configuration")
    parser.add_argument("--only", choices=["topics", "lines", "rejects"], help="print only these")


def run(args: argparse.Namespace) -> int:
    """Print topics, lines and rejects in their order. Return 1 if there was a reject, or if the file is damaged or has no document."""
    from iiot_gateway import _native
    from iiot_gateway.profile import read_profile
    from iiot_gateway.sources.recorded_file import RecordedFile

    config = load(args.config)
    given = source_rules(config, "decode", config.gateway)
    profile = read_profile(profile_path(Path(), args.profile) if args.profile else given.profile)
    decoder = _native.Decoder(
        profile,
        topic_prefix=given.topic_prefix,
        tags=given.tags,
        max_document_bytes=given.max_document_bytes,
        rtt_channel=given.rtt_channel,
    )
    try:
        file = RecordedFile(args.file)
        seen_bytes = documents = rejects = 0
        ignored: Counter[str] = Counter()
        for length, decoded in _decoded(decoder, file):
            seen_bytes += length
            documents += decoded.documents
            ignored.update(decoded.ignored)
            rejects += _print(decoded, args.only)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise GatewayError(f"{args.file} cannot be read: {error.strerror}") from error
    if file.damage:
        print(f"iiot-gateway: {args.file}: {file.damage}", file=sys.stderr)
    if ignored:
        named = ", ".join(f"{count} {name}" for name, count in ignored.items())
        print(f"iiot-gateway: ignored, as the profile says: {named}", file=sys.stderr)
    if not documents:
        print(f"iiot-gateway: {args.file} {file.without_documents(seen_bytes)}", file=sys.stderr)
    return 1 if rejects or file.damage or not documents else 0


def _decoded(decoder: Decoder, file: RecordedFile) -> Iterator[tuple[int, Decoded]]:
    """Yield the length of each chunk in bytes, and its decoded documents."""
    for arrival_ns, chunk in file.chunks():
        yield len(chunk), decoder.push(chunk, time.time_ns() if arrival_ns is None else arrival_ns)
    yield 0, decoder.finish(time.time_ns())


def _print(decoded: Decoded, only: str | None) -> int:
    out = sys.stdout.buffer
    if only in (None, "topics"):
        for topic, payload, retain in decoded.publishes():
            out.write(b"%b = %b%b\n" % (visible_bytes(topic), visible_bytes(payload), b" (retained)" if retain else b""))
    if only in (None, "lines"):
        # Split at line feeds only.
        out.writelines(visible_bytes(line) + b"\n" for line in decoded.lines().split(b"\n") if line)
    rejects = decoded.rejects()
    if only in (None, "rejects"):
        for offset, reason, excerpt in rejects:
            out.write(f"reject at byte {offset}: {visible(reason)}: {visible(excerpt)}\n".encode())
    out.flush()
    return len(rejects)
