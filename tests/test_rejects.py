"""`rejects retry` says of every reject that it was asked for what became of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

GATEWAY = [sys.executable, "-m", "iiot_gateway"]
LOG = """\
{"ts":1000,"id":"N2","n1":{"t":7.1,"h":true,"seq":1}}
{"ts":2000,"id":"N2","nothing":1}
{"ts":3000,"id":"N2","nothing":"%s"}
"""


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command."""
    return subprocess.run([*GATEWAY, *words], cwd=folder, capture_output=True, text=True, timeout=15, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A journal with a refused value, a refused document, and one that was too long to be kept."""
    (tmp_path / "config.toml").write_text("[http]\nenabled = false\n")
    (tmp_path / "log.txt").write_text(LOG % ("x" * 6000))
    assert command(tmp_path, "replay", "log.txt", "--speed", "max", "--once").returncode == 0
    return tmp_path


def listed(folder: Path) -> list[dict[str, Any]]:
    """Return the rejects, oldest first."""
    rejects: list[dict[str, Any]] = json.loads(command(folder, "rejects", "--json").stdout)
    return rejects[::-1]


def test_a_reject_that_cannot_be_retried_is_said_to_be_one(folder: Path) -> None:
    """A value without its document, a document that was not kept, and a number that nobody has."""
    value, document, long = (reject["id"] for reject in listed(folder))

    said = {number: command(folder, "rejects", "retry", "--id", str(number)) for number in (value, document, long, 999)}

    assert said[document].returncode == 0
    assert "1 still rejected" in said[document].stdout
    assert [said[number].returncode for number in (value, long, 999)] == [1, 1, 1]
    assert "its document was accepted without this value" in said[value].stderr
    assert "too long to be kept" in said[long].stderr
    assert "there is no reject #999" in said[999].stderr


def test_a_retry_of_all_counts_those_that_cannot_be(folder: Path) -> None:
    """Three were kept, one could be offered."""
    result = json.loads(command(folder, "rejects", "retry", "--json").stdout)

    assert result["still_rejected"] == 1
    assert result["cannot_be_retried"] == 2


def test_a_number_beyond_all_numbers_is_a_wrong_argument(folder: Path) -> None:
    """No traceback from the depths."""
    done = command(folder, "rejects", "--limit", "9" * 30)

    assert done.returncode == 2
    assert "expected a whole number above 0" in done.stderr
