"""The test files of a crate are one program, so that the crate is linked once and not once per file. No file may be forgotten in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

RUST = Path(__file__).parent.parent.parent / "rust"


def test_each_crate_has_one_test_program() -> None:
    """A crate with a single test file needs no `main.rs`."""
    several = {path.parent for path in RUST.glob("*/tests/*.rs") if len(list(path.parent.glob("*.rs"))) > 1}
    assert {main.parent for main in RUST.glob("*/tests/main.rs")} == several


@pytest.mark.parametrize("main", sorted(RUST.glob("*/tests/main.rs")), ids=lambda path: path.parent.parent.name)
def test_each_test_file_of_a_crate_is_compiled(main: Path) -> None:
    """Cargo does not look for further files where `main.rs` names them: a file that it does not name would never run."""
    there = {path.stem for path in main.parent.glob("*.rs")} | {path.parent.name for path in main.parent.glob("*/mod.rs")}
    named = re.findall(r"^mod (\w+);$", main.read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(named) == sorted(there - {"main"})
    assert "autotests = false" in (main.parent.parent / "Cargo.toml").read_text(encoding="utf-8")
