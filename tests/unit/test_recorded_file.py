"""What `record` writes, `replay` reads: whole, torn, plain and compressed."""

from __future__ import annotations

import gzip
import io
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiot_gateway.errors import RecordingInvalid
from iiot_gateway.sources.recorded_file import RecordedFile, fingerprint, is_stream
from iiot_gateway.sources.recording import RecordingReader, RecordingWriter

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
    assert (reader.source, reader.torn_bytes) == ("serial.north", 0)


@given(CHUNKS, st.data())
def test_a_cut_recording_gives_its_whole_chunks_and_tells_the_rest(chunks: list[tuple[int, bytes]], data: st.DataObject) -> None:
    """A cut anywhere after the header costs the torn chunk and nothing else."""
    whole = record(chunks)
    header = whole.index(b"\n") + 1
    cut = data.draw(st.integers(header, len(whole)))

    reader = RecordingReader(io.BytesIO(whole[:cut]))
    read = list(reader.chunks())

    assert read == chunks[: len(read)]
    assert header + sum(len(record([chunk])) - header for chunk in read) + reader.torn_bytes == cut


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
    with pytest.raises(RecordingInvalid, match="version b'2'"):
        RecordingReader(io.BytesIO(b"iiot-recording 2 x\n"))


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
    assert "cut or damaged" in file.damage


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
