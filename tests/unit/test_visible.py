"""Nothing that comes from data steers a terminal or forges a line, whichever command prints it."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from iiot_gateway import log
from iiot_gateway.visible import visible, visible_bytes

EVIL = "\x1b]0;owned\x07\r\x9b2J\x85\u202e\nforged = 1"
DOCUMENTS = [
    {"name": f"a{EVIL}", "v": {f"k{EVIL}": f"x{EVIL}", "n": 1}},
    {"name": "b", "v": {f"wrong{EVIL}": []}},
]
PROFILE = """
name = "evil"
[[metric]]
path = "v.*"
topic = "{name}/{1}"
measurement = "{1}"
tags = { device = "{name}" }
type = "any"
retain = true
"""


@given(st.text())
def test_what_is_visible_is_one_line_without_control_characters(text: str) -> None:
    """Whatever comes; and letters, signs and spaces stay what they are."""
    shown = visible(text)

    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in shown)
    assert len(shown.splitlines()) <= 1
    assert text.isprintable() <= (shown == text)


def test_letters_and_spaces_stay_and_bytes_that_are_no_text_are_escapes() -> None:
    """A no-break space harms nobody; half a character is shown as what it is."""
    assert visible("Ofen Süd 21\N{NO-BREAK SPACE}°C") == "Ofen Süd 21\N{NO-BREAK SPACE}°C"
    assert visible_bytes(b"a\xc3") == b"a\\xc3"
    assert visible("\ud800") == "\\ud800"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history and a journal with rejects of a device that means harm. Commands only read them."""
    folder = tmp_path_factory.mktemp("evil")
    (folder / "evil.toml").write_text(PROFILE)
    (folder / "config.toml").write_text('[gateway]\nprofile = "evil.toml"\n[history]\npath = "history.db"\n[http]\nenabled = false\n')
    (folder / "evil.log").write_text("".join(json.dumps(document) + "\n" for document in DOCUMENTS))
    done = command(folder, "replay", "evil.log", "--speed", "max", "--once")
    assert done.returncode == 0, done.stderr
    return folder


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command."""
    return subprocess.run([sys.executable, "-m", "iiot_gateway", *words], cwd=folder, capture_output=True, timeout=15, check=False)


@pytest.mark.parametrize(
    "words",
    [
        "decode evil.log",
        "history",
        "history last",
        "history range 1",
        "history range 1 --every 1h",
        "history range #",
        "history range nothing",
        "rejects",
        "status",
    ],
)
def test_no_command_prints_what_a_terminal_obeys(folder: Path, words: str) -> None:
    """Neither on standard output nor in an error, and no line is one that the data made."""
    done = command(folder, *words.split())

    for output in (done.stdout.decode(), done.stderr.decode()):
        assert not any(ord(character) < 32 and character not in "\n\t" for character in output), output
        assert not any(127 <= ord(character) < 160 or character == "\u202e" for character in output), output
        assert not any(line.startswith("forged") for line in output.splitlines())
    assert done.stdout or done.stderr


def test_a_data_format_is_exact_in_a_pipe(folder: Path) -> None:
    """CSV is read by programs, which get the values that came."""
    exported = command(folder, "history", "export", "--csv", "-")

    assert f"x{EVIL}".encode() in exported.stdout


def test_the_console_log_shows_what_came_and_does_not_obey_it() -> None:
    """Values, nested ones and tracebacks."""
    written = io.StringIO()
    processors, renderer = log.processors(console=True)
    logger = structlog.wrap_logger(structlog.PrintLogger(written), processors=[*processors, renderer])
    logger.info("source_state", detail=EVIL, names=[EVIL])
    logger.error("source_failed", exc_info=ValueError(EVIL))

    text = structlog_plain(written.getvalue())
    assert not any(ord(character) < 32 and character != "\n" for character in text)
    assert not any(127 <= ord(character) < 160 for character in text)
    first, *_rest = text.splitlines()
    assert "forged" in first


def structlog_plain(text: str) -> str:
    """Return the text without the colours of the log itself."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
