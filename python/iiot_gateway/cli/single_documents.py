"""Takes text apart into documents for `profile test`, which shows each document with its own result."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from iiot_gateway._native import Decoded, Decoder

_BEGIN = re.compile(rb'\{\s*["}]')
"""How a document begins in a log; see `rust/iiot-core/src/framer.rs`."""
_UP_TO_BRACE = re.compile(rb"[^}]*\}|[^}]+")


class Message(NamedTuple):
    """A document, and the topic under which it came, if any."""

    topic: str | None
    document: bytes
    is_whole: bool = True
    """If not, only an excerpt of the document is known."""


class StreamDecoder:
    """Decodes a stream as a source does, but gives each document alone."""

    def __init__(self, decoder: Decoder, most_bytes: int) -> None:
        """Keep no more text than two documents of `most_bytes` bytes."""
        self._decoder = decoder
        self._most_bytes = most_bytes
        self._text = b""

    def push(self, content: bytes, at_ns: int) -> Iterator[tuple[Message, Decoded]]:
        """Yield the documents that end in `content`, which arrived at `at_ns`, Unix nanoseconds."""
        # Each document ends with a brace, so no piece has the ends of two documents.
        for piece in _UP_TO_BRACE.findall(content):
            self._text = (self._text + piece)[-2 * self._most_bytes :]
            yield from self._taken(self._decoder.push(piece, at_ns))

    def finish(self, at_ns: int) -> Iterator[tuple[Message, Decoded]]:
        """Yield the document that is still open at the end of the stream, which is damaged."""
        yield from self._taken(self._decoder.finish(at_ns))

    def _taken(self, decoded: Decoded) -> Iterator[tuple[Message, Decoded]]:
        if not decoded.documents:
            return
        last_line = self._text.rpartition(b"\n")[2]
        document = _last_document(self._text)
        # Behind a damaged document, the next one may have begun.
        self._text = last_line if document is None else b""
        if document is not None:
            yield Message(None, document), decoded
            return
        # The document is damaged, or the text of another channel is between its parts.
        rejects = decoded.rejects()
        excerpt = rejects[-1][2].encode() if rejects else last_line.strip()
        yield Message(None, excerpt, is_whole=False), decoded


def messages(text: bytes, topic: str | None) -> Iterator[Message]:
    """Yield the whole text if it is one document, otherwise each line that is not blank."""
    whole = text.removeprefix(codecs.BOM_UTF8).strip()
    lines = [line for line in whole.splitlines() if line.strip()]
    if len(lines) > 1 and _is_json(whole):
        lines = [whole]
    for line in lines:
        yield _message(bytes(line), topic)


def is_log(text: bytes) -> bool:
    """Return whether text is a log with documents in its lines. Otherwise, `messages` takes it apart."""
    whole = text.removeprefix(codecs.BOM_UTF8)
    if not _BEGIN.search(whole) or _is_json(whole):
        return False
    lines = [line for line in whole.splitlines() if line.strip()]
    return not all(_is_json(line) for line in lines) and all(_with_topic(line) is None for line in lines)


def _message(line: bytes, topic: str | None) -> Message:
    """Read a line: a message with its own topic, if the line has that form, otherwise a document."""
    own = _with_topic(line) if topic is None else None
    return Message(topic, line) if own is None else own


def _with_topic(line: bytes) -> Message | None:
    with suppress(ValueError, RecursionError):
        match json.loads(line):
            case {"topic": str(topic), "payload": str(payload)}:
                # Half of a character, written as `\ud800`, is no Unicode.
                topic.encode()
                return Message(topic, payload.encode())
    return None


def _last_document(text: bytes) -> bytes | None:
    """Return the document at the end of the text, without the text before it; None if no document is complete there."""
    whole = text.rstrip()
    for begin in _BEGIN.finditer(whole):
        try:
            json.loads(whole[begin.start() :])
        except json.JSONDecodeError as error:
            if error.pos >= len(error.doc):
                return None
        except (ValueError, RecursionError):
            pass
        else:
            return whole[begin.start() :]
    return None


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
