"""What `doctor` and `check` say about a history."""

from __future__ import annotations

from pathlib import Path

import pytest

from iiot_gateway.config.load import load_text
from iiot_gateway.errors import ConfigError
from iiot_gateway.sinks.history.doctor import histories

pytestmark = pytest.mark.native


def findings(base: Path, keys: str = "") -> list[tuple[bool | None, str, str]]:
    """Return what is said about the history of a configuration."""
    found = histories(load_text(f"[history]\n{keys}", base=base))
    return [(finding.ok, finding.detail, finding.remedy) for finding in found]


def test_a_history_that_is_not_there_yet_is_good(tmp_path: Path) -> None:
    """And is not made by looking."""
    ((ok, detail, _),) = findings(tmp_path, "max_bytes = 1048576")

    assert ok
    assert detail.startswith("not there yet; ")
    assert not list(tmp_path.iterdir())


def test_what_is_no_history_is_bad(tmp_path: Path) -> None:
    """It says what it is."""
    (tmp_path / "history.db").write_bytes(b"no SQLite" * 1000)

    ((ok, detail, _),) = findings(tmp_path)

    assert ok is False
    assert detail.startswith("damaged: ")


def test_a_disk_that_is_too_small_is_bad(tmp_path: Path) -> None:
    """The limit must fit."""
    ((ok, detail, remedy),) = findings(tmp_path, f"max_bytes = {2**43}")

    assert ok is False
    assert "it may grow by" in detail
    assert "lower max_bytes" in remedy


def test_a_folder_that_is_missing_is_bad(tmp_path: Path) -> None:
    """With the command that makes it."""
    ((ok, _, remedy),) = findings(tmp_path, 'path = "data/history.db"')

    assert ok is False
    assert remedy == f"mkdir -p {tmp_path / 'data'}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[history]\npath = "iiot-gateway.db"', "history.path: the same file as that of [journal]"),
        ("[history]\nmax_age_d = 1\n[history.long]", "history.long.path: the same file as that of [history]"),
        ("[history]\nmax_bytes = 1000", "history.max_bytes: expected 0, or at least 1048576"),
        ('[history]\npath = ""', "history.path: must not be empty"),
        ('[history]\npath = "/"', "history.path: / is a directory: name a file in it"),
        ('[history]\nprofiles = ["lora-brigde"]', "there is no profile 'lora-brigde'"),
        ("[simulate]\nnodes = 0", "simulate.nodes: expected a whole number from 1 to 100000"),
        ("[simulate]\nrate_per_s = inf", "simulate.rate_per_s: expected a number from 0 to 1000000"),
    ],
)
def test_keys_that_cannot_be_used_are_named(text: str, said: str) -> None:
    """With what would be right."""
    with pytest.raises(ConfigError) as raised:
        load_text(text)

    assert said in str(raised.value)
