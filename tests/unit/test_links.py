"""Documents and comments lead somewhere: each link, each file that they name, and each command. Tables are whole."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from iiot_gateway.cli.main import COMMANDS

ROOT = Path(__file__).parent.parent.parent
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
NAMED_FILE = re.compile(r"`((?:docs|scripts|tests|benches|rust|python|firmware|deploy|web|examples)/[\w./-]+)`")
NAMED_IN_SOURCE = re.compile(
    r"(?<![\w./:*<-])((?:docs|scripts|tests|benches|rust|python|firmware|deploy|web|examples)/(?:[\w.-]+/)*[\w-]+\.(?:md|py|pyi|rs|sh|toml|ts|yml|json))\b"
)
COMMAND = re.compile(r"`(?:scripts/run-gateway\.sh|iiot-gateway) ([a-z-]+)")
BUILT = ("target/", "python/iiot_gateway/web", "firmware/target")
"""Made by a build, and not in the repository."""


def listed(*patterns: str) -> list[Path]:
    """Return the files in the repository that match one of the patterns."""
    names = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in names.splitlines()]


def documents() -> list[Path]:
    """Return every document of the project."""
    return listed("*.md")


def remarks(file: Path) -> Iterator[str]:
    """Yield each comment and docstring of a source file in Python or Rust."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".rs":
        yield from re.findall(r"(?:^|\s)//[/!]?(.*)$", text, re.MULTILINE)
        return
    yield from (token.string for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type == tokenize.COMMENT)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def missing_files(file: Path) -> list[str]:
    """Return the paths in the comments of a source file that are not in the repository."""
    named = {name for remark in remarks(file) for name in NAMED_IN_SOURCE.findall(remark) if not name.startswith(BUILT)}
    return [name for name in sorted(named) if not (ROOT / name).exists()]


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(document: Path) -> Iterator[str]:
    """Give every link that leads nowhere."""
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        if not file.exists():
            yield target
        elif anchor and anchor not in anchors(file):
            yield f"{target}: no such heading"


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    """Files and headings that are linked to exist."""
    assert list(dead_links(document)) == []


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_is_named_exists(document: Path) -> None:
    """A path in backticks that begins with a folder of the repository is in it."""
    named = {name for name in NAMED_FILE.findall(document.read_text(encoding="utf-8")) if not name.startswith(BUILT)}
    assert [name for name in sorted(named) if not (ROOT / name).exists() and "..." not in name] == []


@pytest.mark.parametrize("suffix", ["py", "pyi", "rs"])
def test_every_file_that_a_comment_names_exists(suffix: str) -> None:
    """A path in a comment or docstring that begins with a folder of the repository is in it."""
    files = listed(f"*.{suffix}")
    assert files
    assert [f"{file.relative_to(ROOT)}: {name}" for file in files for name in missing_files(file)] == []


def test_a_wrong_name_in_a_comment_is_found(tmp_path: Path) -> None:
    """Comments, docstrings and texts below names count; other strings and addresses do not."""
    python, rust = tmp_path / "a.py", tmp_path / "a.rs"
    python.write_text(
        '"""See docs/one.md."""\n\nX = "docs/data.md"\n"""As scripts/two.sh does."""\n# rust/a/src/three.rs, https://a.example/docs/x.md\n'
    )
    rust.write_text('//! See docs/one.md.\n/// And `README.md`, docs/glossary.md.\nconst X: &str = "docs/data.md"; // tests/four.py\n')
    assert missing_files(python) == ["docs/one.md", "rust/a/src/three.rs", "scripts/two.sh"]
    assert missing_files(rust) == ["docs/one.md", "tests/four.py"]


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_is_named_exists(document: Path) -> None:
    """What a document tells to type is a command of the program."""
    assert sorted(set(COMMAND.findall(document.read_text(encoding="utf-8"))) - set(COMMANDS)) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    """The test sees what it is made for."""
    document = tmp_path / "page.md"
    document.write_text("# One heading\n[a](page.md#one-heading) [b](page.md#two) [c](gone.md) [d](https://example.org)\n")
    assert list(dead_links(document)) == ["page.md#two: no such heading", "gone.md"]


def torn_rows(text: str) -> Iterator[str]:
    """Give every row of a table that has another number of cells than the head of the table."""
    head: int | None = None
    # What stands in a block of code is no table.
    for line in re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL).splitlines():
        cells = re.sub(r"`[^`]*`|\\\|", "", line).count("|") if line.startswith("|") else None
        if cells != head and None not in (cells, head):
            yield line
        head = head if head and cells else cells


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_row_of_a_table_has_the_cells_of_its_head(document: Path) -> None:
    """Otherwise a reader sees a part of the row, or two rows in one."""
    assert list(torn_rows(document.read_text(encoding="utf-8"))) == []


def test_a_torn_row_is_found() -> None:
    """Two rows on one line, a head among them; a bar within code counts for nothing."""
    table = "| a | b |\n|---|---|\n| 1 | `x|y` |\n"
    assert list(torn_rows(table)) == []
    assert list(torn_rows(f"{table}| 3 | 4 | | 5 | 6 |\n")) == ["| 3 | 4 | | 5 | 6 |"]
    assert list(torn_rows("| a | b | |---|---|\n| 1 | 2 |\n")) == ["| 1 | 2 |"]
