"""A recording that was cut or damaged: what can be read of it is used, where it broke is said, and the exit code tells."""

from __future__ import annotations

import gzip
import io
import subprocess
from pathlib import Path

import pytest

from gateways import Gateway, assert_balanced
from iiot_gateway.sources.recording import RecordingWriter
from recordings import generated

pytestmark = pytest.mark.slow

DOCUMENTS = 500


@pytest.fixture
def log(tmp_path: Path, gateway: Gateway) -> Path:
    """A packed log, and a gateway with a history."""
    gateway.configure('[history]\npath = "history.db"\n')
    plain = tmp_path / "session.log"
    plain.write_bytes(generated(DOCUMENTS))
    subprocess.run(["gzip", plain], check=True)
    return plain.with_name("session.log.gz")


@pytest.mark.parametrize("damage", ["truncate --size=-3 $0", "printf x >> $0", "cp $0 copy && truncate --size=-3 copy && cat copy >> $0"])
def test_a_damaged_gzip_file_is_decoded_and_replayed_as_far_as_zcat_reads_it(gateway: Gateway, log: Path, damage: str) -> None:
    """All documents, one line that says where the file broke, 1 of `decode` and 5 of `replay --once`."""
    plain = subprocess.run(["zcat", log], check=False, capture_output=True).stdout
    subprocess.run(["sh", "-c", damage, log], check=True, cwd=log.parent)
    whole = subprocess.run(["zcat", log], check=False, capture_output=True).stdout
    assert whole.startswith(plain)

    (log.parent / "plain.log").write_bytes(whole)
    expected = gateway.run("decode", str(log.parent / "plain.log"), "--only", "topics")
    decoded = gateway.run("decode", str(log), "--only", "topics")
    assert decoded.returncode == 1
    assert decoded.stdout == expected.stdout
    assert decoded.stderr.count("\n") == 1
    assert "byte" in decoded.stderr

    replayed = gateway.run("replay", str(log), "--speed", "max", "--once")
    assert replayed.returncode == 5, replayed.stderr
    assert "recording_torn" in replayed.stderr
    status = gateway.status()
    assert status["intake"]["received"] == whole.count(b'"n1"')
    assert status["sinks"]["history"]["delivered"] == status["intake"]["accepted"]
    assert_balanced(status)


def test_a_cut_recording_of_record_ends_with_the_same_code(gateway: Gateway, tmp_path: Path) -> None:
    """The documents of its last chunk that are there count, and the code is that of a torn recording."""
    gateway.configure('[history]\npath = "history.db"\n')
    file = io.BytesIO()
    RecordingWriter(file, "serial").push(generated(DOCUMENTS), 1_700_000_000_000_000_000)
    path = tmp_path / "recording.gz"
    path.write_bytes(gzip.compress(file.getvalue()[:-200]))

    replayed = gateway.run("replay", str(path), "--speed", "max", "--once")

    assert replayed.returncode == 5, replayed.stderr
    assert "the last chunk is torn" in replayed.stderr
    assert DOCUMENTS - 10 < gateway.status()["intake"]["received"] <= DOCUMENTS
