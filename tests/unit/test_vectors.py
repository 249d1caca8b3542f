"""The shared decoding vectors, run through the extension: the Rust crate runs the same files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from iiot_gateway import _native

VECTORS = sorted((Path(__file__).parent.parent / "vectors" / "decode").glob("*.json"))
PROFILES = Path(__file__).parent.parent.parent / "python" / "iiot_gateway" / "profiles"


def decode(vector: dict[str, Any], step: int) -> tuple[int, list[str], list[str]]:
    """Return documents, lines and topics of a vector's input, pushed `step` bytes at a time."""
    profile = _native.Profile.parse((PROFILES / f"{vector['profile']}.toml").read_text())
    decoder = _native.Decoder(
        profile, topic_prefix=vector["topic_prefix"], tags=dict(vector["tags"]), max_document_bytes=vector["max_document_bytes"]
    )
    content = vector["input"].encode()
    parts = [decoder.push(content[at : at + step], vector["time_ns"]) for at in range(0, len(content), step)]
    parts.append(decoder.finish(vector["time_ns"]))
    lines = b"".join(part.lines() for part in parts).decode().splitlines()
    published = [publish for part in parts for publish in part.publishes()]
    topics = [f"{topic.decode()} = {payload.decode()}{' (retained)' if retain else ''}" for topic, payload, retain in published]
    return sum(part.documents for part in parts), lines, topics


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_every_vector_gives_its_lines_and_topics(path: Path, step: int) -> None:
    """In any chunks, an input gives the lines and topics that its vector says, and as many documents as frames and rejects."""
    vector = json.loads(path.read_text())
    if "input" not in vector:
        pytest.fail(f"{path.name} has no text input")

    documents, lines, topics = decode(vector, step)

    expected = vector["expected"]
    # A document with a time of its own gets that one here; the vectors give all of them the same.
    assert [line.rsplit(" ", 1)[0] for line in lines] == [line.rsplit(" ", 1)[0] for line in expected["lines"]]
    assert topics == expected["topics"]
    assert documents >= len(expected["frames"])


def test_there_are_vectors() -> None:
    """An empty folder must not pass."""
    assert len(VECTORS) >= 20
