"""`profile test PROFILE [FILE]` shows the points and faults of documents; `profile template [NAME]` prints a profile to begin with."""

from __future__ import annotations

import argparse
import codecs
import json
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from iiot_gateway.config.load import load
from iiot_gateway.config.profile_template import TEMPLATE
from iiot_gateway.config.wiring import PROFILES, profile_path, source_rules
from iiot_gateway.errors import GatewayError
from iiot_gateway.sources.recorded_file import RecordedFile
from iiot_gateway.visible import visible, visible_bytes

if TYPE_CHECKING:
    from iiot_gateway._native import Decoded

LONGEST_SHOWN = 100


class Message(NamedTuple):
    """A document, and the topic under which it came."""

    topic: str | None
    document: bytes


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
        help="one JSON document, or one per line; lines of `mosquitto_sub -F %%j` bring their topics along; standard input by default",
    )
    test.add_argument("--topic", metavar="TOPIC", help="the topic under which the documents came")


def run(args: argparse.Namespace) -> int:
    """Print the template, or the points of each document. Return 1 if there was a reject."""
    if args.action == "template":
        print(TEMPLATE if args.name is None else profile_path(Path(), args.name).read_text(encoding="utf-8"), end="")
        return 0
    from iiot_gateway import _native
    from iiot_gateway.profile import read_profile

    config = load(args.config)
    given = source_rules(config, "profile", config.gateway)
    decoder = _native.Decoder(
        read_profile(profile_path(Path(), args.profile)),
        topic_prefix=given.topic_prefix,
        tags=given.tags,
    )
    documents = points = rejects = 0
    for message in _messages(_read(args.file), args.topic):
        decoded = decoder.message(message.document, time.time_ns(), topic=message.topic)
        _show(message, decoded)
        documents += 1
        points += decoded.points
        rejects += len(decoded.rejects())
    print(f"{documents} documents: {points} points, {rejects} rejects")
    return 1 if rejects else 0


def _read(path: str) -> bytes:
    """Return the content of a file, unpacked and as UTF-8. Print its faults to standard error."""
    try:
        with closing(RecordedFile(path)) as file:
            content = b"".join(chunk for _arrival, chunk in file.chunks()).removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise GatewayError(f"{path} cannot be read: {error.strerror}") from error
    if file.damage:
        print(f"iiot-gateway: {path}: {file.damage}", file=sys.stderr)
    if not content.strip():
        raise GatewayError(f"{path} {file.without_documents(len(content))}")
    return content


def _messages(content: bytes, topic: str | None) -> Iterator[Message]:
    """Yield the whole text if it is one document, otherwise each line that is not blank."""
    whole = content.strip()
    lines = [line for line in whole.splitlines() if line.strip()]
    if len(lines) > 1 and _is_json(whole):
        lines = [whole]
    for line in lines:
        yield _message(line, topic)


def _message(line: bytes, topic: str | None) -> Message:
    """Read a line: a message with its own topic, if the line has that form, otherwise a document."""
    if topic is None:
        with suppress(ValueError, RecursionError):
            match json.loads(line):
                case {"topic": str(own), "payload": str(payload)}:
                    return Message(own, payload.encode())
    return Message(topic, line)


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return False
    return True


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
