"""The modules of a crate form layers: none uses a module that uses it in turn."""

from __future__ import annotations

import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

RUST = Path(__file__).parent.parent.parent / "rust"

Module = tuple[str, ...]
"""The path of a module within its crate; empty for the file at its root."""

# Comments, and texts and characters in quotes; the ticks of lifetimes stay.
UNREAD = re.compile(r"""//[^\n]*|/\*.*?\*/|r(\#*)".*?"\1|b?"(?:\\.|[^"\\])*"|b?'(?:\\[^\n]+?|[^\\'])'""", re.DOTALL)
TESTS = re.compile(r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*(?:pub\(crate\) )?mod \w+ ?[;{]")
USE = re.compile(r"\b(pub(?:\([a-z]+\))? )?use ([^;]+);")
INLINE = re.compile(r"(?<![\w:])((?:crate|self|super)(?:::\w+)+)")


def code(text: str) -> str:
    """Return what the compiler sees of a file outside of its tests, with empty texts."""
    text = UNREAD.sub(" ", text)
    while found := TESTS.search(text):
        end, depth = found.end(), int(found[0].endswith("{"))
        while depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        text = text[: found.start()] + text[end:]
    return text


def leaves(tree: str) -> Iterator[tuple[str, str]]:
    """Give each path of a `use`, and the name that it has in the file."""
    outer, brace, inner = re.sub(r"\s+", " ", tree).partition("{")
    if not brace:
        path, _, name = tree.strip().partition(" as ")
        yield path.removesuffix("::self"), name or path.removesuffix("::self").rpartition("::")[2]
        return
    depth, part = 0, ""
    for character in inner.rstrip()[:-1] + ",":
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character != "," or depth:
            part += character
        elif part.strip():
            yield from leaves(outer.strip() + part.strip())
            part = ""


class Crate:
    """The modules of a crate, and what each of them uses."""

    def __init__(self, source: Path) -> None:
        """Read the files below `source`."""
        self.bodies: dict[Module, str] = {}
        """Their code, without what they import."""
        self.imports: dict[Module, list[tuple[str, str, bool]]] = {}
        """Path, name, and whether others may import it from here."""
        files = {self.module(file.relative_to(source)): code(file.read_text(encoding="utf-8")) for file in sorted(source.rglob("*.rs"))}
        for module, text in files.items():
            # Files of tests are declared within the tests.
            if not module or re.search(rf"\bmod {module[-1]};", files[module[:-1]]):
                self.bodies[module] = USE.sub("", text)
                self.imports[module] = [(path, name, bool(public)) for public, tree in USE.findall(text) for path, name in leaves(tree)]

    @staticmethod
    def module(file: Path) -> Module:
        """Return the module that a file holds."""
        parts = file.with_suffix("").parts
        return parts[:-1] if parts[-1] in {"lib", "main", "mod"} else parts

    def path(self, module: Module, text: str) -> tuple[str, ...] | None:
        """Return the path within the crate that a path in a module leads to; nothing if that is another crate."""
        first, *rest = text.split("::")
        if first == "crate":
            return tuple(rest)
        if first == "self":
            return (*module, *rest)
        if first == "super":
            return self.path(module[:-1], "::".join(["self", *rest])) if rest[:1] != ["super"] else self.path(module[:-1], "::".join(rest))
        return (*module, first, *rest) if (*module, first) in self.bodies else None

    def owner(self, path: tuple[str, ...]) -> Module:
        """Return the module in which the named thing is written, not one that passes it on."""
        module: Module = ()
        for at, name in enumerate(path):
            if (*module, name) in self.bodies:
                module = (*module, name)
                continue
            for text, known, _ in self.imports[module]:
                source = self.path(module, text) if known == name else None
                if source is not None:
                    return self.owner((*source, *path[at + 1 :]))
            break
        return module

    def uses(self) -> Iterator[tuple[Module, Module]]:
        """Give each module with each other one of which it uses something. Who only passes a name on does not use it."""
        for module, body in self.bodies.items():
            named = [path for path, name, public in self.imports[module] if not public or re.search(rf"\b{name}\b", body)]
            children = [other[-1] for other in self.bodies if other and other[:-1] == module]
            inline = re.findall(rf"(?<![\w:])((?:{'|'.join(children)})(?:::\w+)+)", body) if children else []
            for text in named + INLINE.findall(body) + inline:
                path = self.path(module, text)
                if path is not None and self.owner(path) != module:
                    yield module, self.owner(path)

    def graph(self) -> dict[Module, set[Module]]:
        """Return which modules use which.

        The files of a folder are compared with each other. Seen from outside, a folder is one module with its façade, which its files may
        know in turn: together they are one thing. The root of a crate is no such façade.
        """
        graph: dict[Module, set[Module]] = {}
        for user, used in self.uses():
            common = 0
            while user[common : common + 1] == used[common : common + 1] != ():
                common += 1
            if common and common in {len(user), len(used)}:
                continue
            graph.setdefault(user[: common + 1], set()).add(used[: common + 1])
        return graph


def cycle(crate: Crate) -> list[str]:
    """Return the names of modules that use each other in a circle, the first one again at the end."""
    try:
        TopologicalSorter(crate.graph()).prepare()
    except CycleError as error:
        return ["::".join(module) or "the root" for module in reversed(error.args[1])]
    return []


@pytest.mark.parametrize("source", sorted(RUST.glob("*/src")), ids=lambda path: path.parent.name)
def test_the_modules_of_a_crate_use_each_other_in_one_direction_only(source: Path) -> None:
    """Then each can be read, and changed, with those below it in mind."""
    assert cycle(Crate(source)) == []


def crate_of(folder: Path, **files: str) -> Crate:
    """Write the files of a crate; two underlines in a name stand for a slash."""
    for name, text in files.items():
        file = folder / f"{name.replace('__', '/')}.rs"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return Crate(folder)


def test_a_cycle_is_found(tmp_path: Path) -> None:
    """Through another module, in a tree of names, behind a name that the root passes on, and without `use`."""
    root = "mod a;\nmod b;\nmod c;\npub use c::C;\n"
    crate = crate_of(tmp_path, lib=root, a="use crate::{b::{self, B}};", b="use crate::C as D;", c="fn f() { crate::a::g() }")

    assert set(cycle(crate)) == {"a", "b", "c"}


def test_tests_texts_and_names_that_are_passed_on_are_no_uses(tmp_path: Path) -> None:
    """And a folder is one module with its façade, but its files are several."""
    tests = '#[cfg(test)]\n#[allow(x, reason = "{")]\nmod tests { use super::A; use crate::b::B; }'
    b = "use crate::a::A; mod one; mod two; use one::One; struct B;"
    crate = crate_of(
        tmp_path,
        lib="mod a; mod b; pub use a::A;",
        a=f"// use crate::b::B;\n{tests}",
        b=b,
        b__one="use super::B;",
        b__two="use super::One;",
    )
    assert cycle(crate) == []

    circle = crate_of(tmp_path, b__one="use super::B; use super::two::Two;")
    assert set(cycle(circle)) == {"b::one", "b::two"}
