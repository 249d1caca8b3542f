"""What `record` writes, `replay` reads: whole, torn, plain and compressed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import threading
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiot_gateway.errors import RecordingInvalid
from iiot_gateway.sources.recorded_file import RecordedFile, fingerprint, is_stream
from iiot_gateway.sources.recording import RecordingReader, RecordingWriter
from iiot_gateway.sources.unpacked import Unpacked

CHUNKS = st.lists(st.tuples(st.integers(0, 2**62), st.binary(max_size=200)), max_size=12)


def record(chunks: list[tuple[int, bytes]]) -> bytes:
    """Return the bytes of a recording."""
    file = io.BytesIO()
    writer = RecordingWriter(file, "serial.north")
    for at_ns, chunk in chunks:
        writer.push(chunk, at_ns)
    return file.getvalue()


@given(CHUNKS)
def test_a_recording_gives_back_what_was_pushed(chunks: list[tuple[int, bytes]]) -> None:
    """Any bytes, line ends and at-signs too, come back with their times."""
    reader = RecordingReader(io.BytesIO(record(chunks)))

    assert list(reader.chunks()) == chunks
    assert (reader.source, reader.damage) == ("serial.north", "")


@given(CHUNKS, st.data())
def test_a_cut_recording_gives_everything_that_is_there(chunks: list[tuple[int, bytes]], data: st.DataObject) -> None:
    """A cut anywhere after the header costs what was cut off, and it is said unless it was between two chunks."""
    whole = record(chunks)
    header = whole.index(b"\n") + 1
    cut = data.draw(st.integers(header, len(whole)))

    reader = RecordingReader(io.BytesIO(whole[:cut]))
    read = list(reader.chunks())

    complete = [chunk for at, chunk in enumerate(chunks, 1) if len(record(chunks[:at])) <= cut]
    assert read[: len(complete)] == complete
    if len(record(complete)) == cut:
        assert (read[len(complete) :], reader.damage) == ([], "")
    else:
        at_ns, torn = chunks[len(complete)]
        head = len(b"@%d %d\n" % (at_ns, len(torn)))
        there = torn[: max(0, cut - len(record(complete)) - head)]
        assert read[len(complete) :] == ([(at_ns, there)] if there else [])
        assert reader.damage


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    """No file makes the reader fail otherwise than by its own error."""
    try:
        reader = RecordingReader(io.BytesIO(data))
    except RecordingInvalid:
        return
    assert all(isinstance(chunk, bytes) for _at, chunk in reader.chunks())


def test_a_later_version_is_refused_by_name() -> None:
    """A file of a gateway to come is not half understood."""
    with pytest.raises(RecordingInvalid, match="version b'3'"):
        RecordingReader(io.BytesIO(b"iiot-recording 3 x\n"))


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("skip", [0, 1, 300_000])
def test_a_log_is_given_without_the_bytes_that_are_settled(tmp_path: Path, compressed: bool, skip: int) -> None:  # noqa: FBT001
    """A resumed replay goes on at the byte, in the stream and not in the compressed file, and is shown what stands before."""
    log = b"".join(b"[INFO ] line %d\n" % number for number in range(40_000))
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(log) if compressed else log)

    file = RecordedFile(str(path))
    settled: list[bytes] = []
    read = list(file.chunks(skip, settled.append))
    file.close()

    assert b"".join(settled) == log[:skip]
    assert b"".join(chunk for _at, chunk in read) == log[skip:]
    assert all(at is None for at, _chunk in read)
    assert file.damage == ""


def test_a_compressed_recording_keeps_its_arrival_times(tmp_path: Path) -> None:
    """Skipping cuts the first chunk and keeps its time."""
    path = tmp_path / "recording.gz"
    path.write_bytes(gzip.compress(record([(5, b"abc"), (7, b"def")])))

    file = RecordedFile(str(path))

    assert list(file.chunks(4)) == [(7, b"ef")]
    file.close()


def test_a_cut_gzip_file_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """The damage is told and the rest is kept."""
    log = b"".join(b"[INFO ] line %d\n" % number for number in range(100_000))
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(log)[:-1000])

    file = RecordedFile(str(path))
    read = b"".join(chunk for _at, chunk in file.chunks())
    file.close()

    assert len(read) > len(log) // 2
    assert log.startswith(read)
    assert "the file ends at byte" in file.damage


DOCUMENTS = b"".join(b'[INFO ] {"ts":%d,"id":"N2","n1":{"t":7.1,"seq":%d}}\n' % (number * 1000, number) for number in range(500))
PACKED = gzip.compress(DOCUMENTS)


@pytest.mark.parametrize(
    ("packed", "count", "damage"),
    [
        pytest.param(PACKED[:-1], 500, "cut: the file ends at byte", id="no last byte"),
        pytest.param(PACKED[:-8], 500, "cut: the file ends at byte", id="no trailer"),
        pytest.param(PACKED + b"x", 500, f"from byte {len(PACKED)} of the file", id="a byte behind"),
        pytest.param(PACKED + b"\x1f", 500, f"from byte {len(PACKED)} of the file", id="half a magic behind"),
        pytest.param(PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], 500, "incorrect data check", id="a wrong checksum"),
        pytest.param(PACKED + PACKED[:-20], 960, "cut: the file ends at byte", id="a second member is cut"),
        pytest.param(PACKED + PACKED[:3], 500, "cut: the file ends at byte", id="a second member only begins"),
        pytest.param(PACKED + bytes(1000), 500, "", id="zeros behind"),
        pytest.param(PACKED + bytes(1000) + PACKED, 1000, "", id="zeros between"),
        pytest.param(gzip.compress(b"") + PACKED, 500, "", id="an empty member"),
        pytest.param(PACKED[:2], 0, "cut: the file ends at byte 2", id="a magic and nothing"),
        pytest.param(b"\x1f\x8b\xff" + PACKED[3:], 0, "unknown compression method", id="an unknown method"),
    ],
)
def test_everything_that_can_be_decompressed_comes_out(tmp_path: Path, packed: bytes, count: int, damage: str) -> None:
    """As much as zcat prints, and the damage with its place."""
    path = tmp_path / "log.gz"
    path.write_bytes(packed)

    file = RecordedFile(str(path))
    read = b"".join(chunk for _at, chunk in file.chunks())
    file.close()

    assert (DOCUMENTS + DOCUMENTS).startswith(read)
    assert read.count(b"\n") >= count
    assert damage in file.damage
    assert bool(damage) == bool(file.damage)


@given(st.integers(0, len(PACKED) - 1), st.integers(0, 255))
def test_any_damaged_byte_costs_only_what_stands_behind_it(at: int, byte: int) -> None:
    """As zlib gives it byte by byte; nothing fails, and nothing that stood before is missing."""
    damaged = PACKED[:at] + bytes([byte]) + PACKED[at + 1 :]
    inflate, expected = zlib.decompressobj(31), b""
    with suppress(zlib.error):
        for index in range(len(damaged)):
            expected += inflate.decompress(damaged[index : index + 1])

    unpacked = Unpacked(io.BufferedReader(io.BytesIO(damaged)))
    unpacked_bytes = io.BufferedReader(unpacked).read()

    assert unpacked_bytes == expected if damaged.startswith(b"\x1f\x8b") else True
    assert damaged == PACKED or unpacked.damage or expected == DOCUMENTS


def test_output_that_waits_in_the_decompressor_is_not_lost() -> None:
    """A few bytes that become many, read in small pieces."""
    unpacked = Unpacked(io.BufferedReader(io.BytesIO(gzip.compress(b"x" * 1_000_000))))

    read = 0
    while piece := unpacked.read(1000):
        read += len(piece)

    assert (read, unpacked.damage) == (1_000_000, "")


def test_a_named_pipe_is_read_once_and_not_for_its_fingerprint(tmp_path: Path) -> None:
    """What a pipe gives is all played; taking its fingerprint would eat it."""
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    assert is_stream(path)
    assert fingerprint(path) == fingerprint("-")
    writer = threading.Thread(target=lambda: Path(path).write_bytes(b"[INFO ] a line\n"))
    writer.start()

    file = RecordedFile(path)
    read = list(file.chunks())
    writer.join()

    assert read == [(None, b"[INFO ] a line\n")]
    assert file.size_bytes == 0
    file.close()


def test_the_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    """A file that was moved is the same recording."""
    (tmp_path / "a").write_bytes(b"log")
    (tmp_path / "b").write_bytes(b"log")

    assert fingerprint(str(tmp_path / "a")) == fingerprint(str(tmp_path / "b"))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_log_in_utf_16_is_read_as_the_utf_8_that_it_was(tmp_path: Path, encoding: str, packed: bool) -> None:  # noqa: FBT001
    """Letters beyond ASCII, characters of two units, and what is half a character at the end."""
    text = "[INFO ] Ofen Süd \N{THERMOMETER}\N{SLIGHTLY SMILING FACE}\r\n" * 20_000
    content = "\N{ZERO WIDTH NO-BREAK SPACE}".encode(encoding) + text.encode(encoding) + b"\x41"
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(content) if packed else content)

    file = RecordedFile(str(path))
    read = b"".join(chunk for _at, chunk in file.chunks()).decode()
    file.close()

    assert read == text + "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"", "is empty"),
        (b"just text\n", "holds no document in its 10 bytes"),
        (lzma.compress(b"x" * 5000), "is compressed with xz"),
        (bz2.compress(b"x" * 5000), "is compressed with bzip2"),
        (b"PK\x03\x04" + bytes(100), "is a zip archive"),
        (b"\x28\xb5\x2f\xfd" + bytes(100), "is compressed with zstd"),
        (gzip.compress(gzip.compress(b"x")), "is compressed with gzip twice"),
        ("plain text in two bytes a letter".encode("utf-16-le"), "looks like UTF-16 without a byte order mark"),
        ("plain text in two bytes a letter".encode("utf-16-be"), "looks like UTF-16 without a byte order mark"),
        ("text".encode("utf-32"), "is UTF-32"),
        (bytes(range(256)), "is no text"),
    ],
    ids=["empty", "text", "xz", "bzip2", "zip", "zstd", "gzip in gzip", "utf-16-le", "utf-16-be", "utf-32", "bytes"],
)
def test_a_file_without_documents_is_called_by_what_its_first_bytes_show(tmp_path: Path, content: bytes, name: str) -> None:
    """How many bytes there were, and what to do with them."""
    path = tmp_path / "file"
    path.write_bytes(content)

    file = RecordedFile(str(path))
    count = sum(len(chunk) for _at, chunk in file.chunks())
    file.close()

    assert name in file.without_documents(count)
    assert not content or f"{count} bytes" in file.without_documents(count)
