"""A file in which there is nothing for the gateway is no success: `decode` and `replay --once` say what it is."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from gateways import Gateway, assert_balanced
from recordings import generated


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"no telemetry tonight\n", "holds no document in its 21 bytes"),
        (lzma.compress(generated(10)), "is compressed with xz: unpack it with `xz -d`"),
    ],
    ids=["empty", "text", "xz"],
)
def test_nothing_found_is_said_with_a_code_of_its_own(gateway: Gateway, tmp_path: Path, content: bytes, said: str) -> None:
    """1 of `decode`, 5 of `replay --once`, and a line that says why."""
    gateway.configure("")
    path = tmp_path / "file.log"
    path.write_bytes(content)

    decoded = gateway.run("decode", str(path))
    replayed = gateway.run("replay", str(path), "--speed", "max", "--once")

    assert (decoded.returncode, replayed.returncode) == (1, 5)
    assert said in decoded.stderr
    assert "recording_without_documents" in replayed.stderr
    assert said in replayed.stderr


def test_a_log_that_powershell_saved_is_played(gateway: Gateway, tmp_path: Path) -> None:
    """As much as from the same log in UTF-8, though each goes on where it was stopped."""
    gateway.configure("")
    log = generated(50)
    path = tmp_path / "session.log"
    path.write_bytes(log.decode().replace("\n", "\r\n").encode("utf-16"))

    done = gateway.run("replay", str(path), "--speed", "max", "--once")

    assert done.returncode == 0, done.stderr
    status = gateway.status()
    assert status["intake"]["received"] == log.count(b'"n1"')
    assert_balanced(status)
