"""The file that `decode` and `profile test` read: a log, or a recording of bytes or messages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from iiot_gateway.errors import GatewayError
from iiot_gateway.sources.recorded_file import RecordedFile

if TYPE_CHECKING:
    from iiot_gateway._native import Decoder, Profile
    from iiot_gateway.config.wiring import SourceRules


class Piece(NamedTuple):
    """A piece of a stream, or a message."""

    arrival_ns: int | None
    """None in a log, which has no arrival times."""
    topic: str | None
    """The topic of a message; None for a piece of a stream."""
    content: bytes


class DocumentFile:
    """Reads a file once, and prints its damage to standard error."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.is_damaged = False
        self.without_documents = ""
        """After the last piece: the message for a file in which no document was found."""

    def pieces(self) -> Iterator[Piece]:
        """Yield the content in its order, unpacked and in UTF-8. Raises GatewayError if the file cannot be read."""
        seen_bytes = 0
        try:
            with closing(RecordedFile(self.path)) as file:
                for piece in _messages(file) if file.has_topics() else _chunks(file):
                    seen_bytes += len(piece.content)
                    yield piece
        except OSError as error:
            raise GatewayError(f"{self.path} cannot be read: {error.strerror}") from error
        if file.damage:
            self.is_damaged = True
            print(f"iiot-gateway: {self.path}: {file.damage}", file=sys.stderr)
        self.without_documents = f"{self.path} {file.without_documents(seen_bytes)}"


def make_decoder(profile: Profile, rules: SourceRules) -> Decoder:
    """Make the decoder of such a file, with the keys of the source that would read it."""
    from iiot_gateway import _native

    return _native.Decoder(
        profile,
        topic_prefix=rules.topic_prefix,
        tags=rules.tags,
        max_document_bytes=rules.max_document_bytes,
        rtt_channel=rules.rtt_channel,
    )


def _messages(file: RecordedFile) -> Iterator[Piece]:
    for arrival_ns, topic, payload, _end in file.messages():
        yield Piece(arrival_ns, topic.decode("utf-8", "replace"), payload)


def _chunks(file: RecordedFile) -> Iterator[Piece]:
    for arrival_ns, chunk in file.chunks():
        yield Piece(arrival_ns, None, chunk)
