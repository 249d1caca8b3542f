"""The modules of a crate form layers, and so do those of the Python package: none uses a module that uses it in turn."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TypeVar

import pytest

ROOT = Path(__file__).parent.parent.parent
RUST = ROOT / "rust"
PACKAGE = ROOT / "python" / "iiot_gateway"
UPWARDS = {
    ("config", "sources"): "[gateway] has the keys of the first probe: docs/decisions/0014-components.md, point 7",
}
"""The parts of the package that use a part above them, each with the reason."""

T = TypeVar("T")

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


def circle(graph: Mapping[T, AbstractSet[T]]) -> list[T]:
    """Return modules that use each other in a circle, the first one again at the end."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def cycle(crate: Crate) -> list[str]:
    """Return the names of a crate's modules that use each other in a circle."""
    return ["::".join(module) or "the root" for module in circle(crate.graph())]


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


def imported(node: ast.AST) -> Iterator[str]:
    """Give the names that code imports while it runs, inside functions as well. What only the type check imports is not run."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        for other in node.orelse:
            yield from imported(other)
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from imported(child)


def imports_of(package: Path) -> dict[str, set[str]]:
    """Return which modules of a package import which. The module of a folder is its `__init__.py`.

    Whoever imports a file of a folder does not count as a user of that `__init__.py`, although Python runs it first. Nor do modules count
    that are named as text, as `config/sections.py` names those of the components.
    """
    paths = {file: file.relative_to(package.parent).with_suffix("").parts for file in package.rglob("*.py")}
    files = {".".join(parts).removesuffix(".__init__"): file for file, parts in paths.items()}
    graph: dict[str, set[str]] = {}
    for module, file in files.items():
        names = imported(ast.parse(file.read_text(encoding="utf-8")))
        # The last name is that of a module, or of something in a module.
        used = {name if name in files else name.rpartition(".")[0] for name in names}
        graph[module] = used & files.keys() - {module}
    return graph


def parts_of(graph: Mapping[str, AbstractSet[str]]) -> dict[str, set[str]]:
    """Return which folders and files at the top of a package import which."""
    parts: dict[str, set[str]] = {}
    for module, used in graph.items():
        user, *others = (name.partition(".")[2].partition(".")[0] for name in (module, *used))
        parts.setdefault(user, set()).update(set(others) - {user})
    return parts


def test_the_modules_of_the_package_import_each_other_in_one_direction_only() -> None:
    """Imports inside functions count: they may save memory, but they are no way out of a cycle."""
    assert circle(imports_of(PACKAGE)) == []


def test_the_parts_of_the_package_form_layers() -> None:
    """A reader can begin with any part, and needs only those below it; the few exceptions are real and have a reason."""
    parts = parts_of(imports_of(PACKAGE))
    layers = {part: {other for other in used if (part, other) not in UPWARDS} for part, used in parts.items()}

    assert circle(layers) == []
    for part, other in UPWARDS:
        assert other in parts[part]
        assert circle({**layers, part: layers[part] | {other}}) != []


def package_of(folder: Path, **files: str) -> Path:
    """Write the files of a package; two underlines in a name stand for a slash."""
    for name, text in files.items():
        file = folder / "package" / f"{name.replace('__', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return folder / "package"


def test_a_cycle_of_imports_is_found(tmp_path: Path) -> None:
    """In a function, as a name in a folder, and as `import`; also a cycle of parts whose modules have none."""
    late = "def f():\n    from package.two import b\n"
    package = package_of(tmp_path, one__a=late, two__b="import package.three", three="from package.one.a import f")
    assert set(circle(imports_of(package))) == {"package.one.a", "package.two.b", "package.three"}

    package_of(tmp_path, three="from package.one.c import C", one__c="C = 1")
    assert circle(imports_of(package)) == []
    assert set(circle(parts_of(imports_of(package)))) == {"one", "two", "three"}


def test_imports_for_the_type_check_are_no_uses(tmp_path: Path) -> None:
    """They name types, and nothing is run; the other branch is."""
    checked = "if TYPE_CHECKING:\n    from package.b import B\nelse:\n    from package.c import C\n"
    package = package_of(tmp_path, a=checked, b="from package.a import A", c="")
    assert imports_of(package) == {"package.a": {"package.c"}, "package.b": {"package.a"}, "package.c": set()}
