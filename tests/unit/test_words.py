"""Words behind an option belong to those before it where a command has a list of words, and are refused elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from iiot_gateway.cli.main import main


def test_the_folder_may_stand_behind_the_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`backup verify` looks into the same folder, whether --restore stands before it or behind."""
    said = []
    for words in (["verify", "--restore", str(tmp_path)], ["verify", str(tmp_path), "--restore"], ["--restore", "verify", str(tmp_path)]):
        assert main(["backup", *words]) == 1
        said.append(capsys.readouterr().err)

    assert str(tmp_path) in said[0]
    assert said == [said[0]] * 3


@pytest.mark.parametrize(
    ("words", "unknown"),
    [(["backup", "verify", "x", "--restroe"], "--restroe"), (["check", "x"], "x"), (["status", "--json", "b"], "b")],
)
def test_what_no_command_knows_is_refused(words: list[str], unknown: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With the code of wrong arguments."""
    with pytest.raises(SystemExit, match="2"):
        main(words)

    assert f"unrecognized arguments: {unknown}\n" in capsys.readouterr().err
