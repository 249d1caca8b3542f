"""`profile test PROFILE [FILE]` shows the points and faults of documents; `profile template [NAME]` prints a profile to begin with."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from iiot_gateway.cli.documents import DocumentFile, make_decoder
from iiot_gateway.cli.single_documents import Message, StreamDecoder, is_log, messages
from iiot_gateway.cli.unnamed_values import UnnamedValues
from iiot_gateway.config.files import read_text
from iiot_gateway.config.load import load
from iiot_gateway.config.profile_template import TEMPLATE
from iiot_gateway.config.wiring import PROFILES, profile_path, source_rules
from iiot_gateway.errors import GatewayError
from iiot_gateway.visible import visible, visible_bytes

if TYPE_CHECKING:
    from iiot_gateway._native import Decoded, Decoder

LONGEST_SHOWN = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the two actions."""
    actions = parser.add_subparsers(dest="action", required=True)
    template = actions.add_parser("template", help="print a commented profile, or one that is built in")
    built_in = sorted(path.stem for path in PROFILES.glob("*.toml"))
    template.add_argument("name", nargs="?", choices=built_in, metavar="NAME", help=f"a built-in profile: {', '.join(built_in)}")
    test = actions.add_parser("test", help="show points, topics and rejects of documents")
    test.add_argument("profile", metavar="PROFILE", help="a profile file, or the name of a built-in profile")
    test.add_argument(
        "file",
        metavar="FILE",
        nargs="?",
        default="-",
        help="one JSON document, or one per line; a log or a recording, as for `decode`; or lines of `mosquitto_sub -F %%j`, with topics; "
        "standard input by default",
    )
    test.add_argument("--topic", metavar="TOPIC", help="the topic under which the documents came")


def run(args: argparse.Namespace) -> int:
    """Print the template, or the points of each document. Return 1 if there was a reject."""
    if args.action == "template":
        print(TEMPLATE if args.name is None else profile_path(Path(), args.name).read_text(encoding="utf-8"), end="")
        return 0
    from iiot_gateway.profile import read_profile

    config = load(args.config)
    given = source_rules(config, "profile", config.gateway)
    path = profile_path(Path(), args.profile)
    decoder = make_decoder(read_profile(path), given)
    unnamed = UnnamedValues(read_text(path))
    file = DocumentFile(args.file)
    documents = points = rejects = 0
    for message, decoded in _decoded(decoder, file, args.topic, given.max_document_bytes):
        _show(message, decoded)
        # What a rejected document has is in its reject.
        if decoded.points and message.is_whole:
            unnamed.add(message.topic, message.document)
        documents += decoded.documents
        points += decoded.points
        rejects += len(decoded.rejects())
    if not documents:
        raise GatewayError(file.without_documents)
    for line in unnamed.lines():
        print(line)
    print(f"{documents} documents: {points} points, {rejects} rejects")
    return 1 if rejects else 0


def _decoded(decoder: Decoder, file: DocumentFile, topic: str | None, most_bytes: int) -> Iterator[tuple[Message, Decoded]]:
    """Yield each document with its result. `topic` replaces the topics of the file."""
    stream = StreamDecoder(decoder, most_bytes)
    text = bytearray()
    for arrival_ns, own_topic, content in file.pieces():
        if own_topic is not None:
            message = Message(topic or own_topic, content)
            yield message, decoder.message(content, _at(arrival_ns), topic=message.topic)
        elif arrival_ns is None or topic is not None:
            text += content
        else:
            yield from stream.push(content, arrival_ns)
    whole = bytes(text)
    if topic is None and is_log(whole):
        yield from stream.push(whole, time.time_ns())
    else:
        for message in messages(whole, topic):
            yield message, decoder.message(message.document, time.time_ns(), topic=message.topic)
    yield from stream.finish(time.time_ns())


def _at(arrival_ns: int | None) -> int:
    return time.time_ns() if arrival_ns is None else arrival_ns


def _show(message: Message, decoded: Decoded) -> None:
    document = visible(message.document.decode(errors="backslashreplace"))
    excerpt = document if len(document) <= LONGEST_SHOWN else f"{document[:LONGEST_SHOWN]}..."
    print(f"{visible(message.topic)}: {excerpt}" if message.topic is not None else excerpt)
    for line in decoded.lines().split(b"\n"):
        if line:
            print(f"  line    {_text(line)}")
    for topic, payload, retain in decoded.publishes():
        print(f"  topic   {_text(topic)} = {_text(payload)}{' (retained)' if retain else ''}")
    for reason in decoded.unused_times:
        print(f"  time    {reason}; the values here have the time of arrival")
    for offset, reason, quoted in decoded.rejects():
        print(f"  reject  at byte {offset}: {visible(reason)}: {visible(quoted)}")
    for kind in decoded.ignored:
        print(f"  ignored as {kind}")


def _text(text: bytes) -> str:
    return visible_bytes(text).decode(errors="backslashreplace")
