"""On which line of a TOML file a key stands; `tomllib` does not say.

`line_of_keys` reads a text that `tomllib` has accepted, so it only needs to know where strings, comments and brackets begin
and end. A path is a tuple of keys; tables, dotted keys and inline tables all give their paths. Keys inside of arrays are not
looked for: their line is that of the array.
"""

from __future__ import annotations

Path = tuple[str, ...]


def line_of_keys(text: str) -> dict[Path, int]:
    """Map every key path of a valid TOML text to its line, counted from 1."""
    return _Scan(text).run()


def headers(text: str) -> set[Path]:
    """Return every table that a valid TOML text opens by a line of its own; `tomllib` does not tell an empty one from none."""
    scan = _Scan(text)
    scan.run()
    return scan.headers


def lines_in_arrays(text: str) -> dict[tuple[str | int, ...], int]:
    """Do the same with the number of each table under `[[name]]` in the path: `("inputs", "cpu", 1, "percpu")`."""
    scan = _Scan(text)
    scan.run()
    counts: dict[tuple[str | int, ...], int] = {}
    found: dict[tuple[str | int, ...], int] = {}

    def numbered(path: Path) -> tuple[str | int, ...]:
        place: tuple[str | int, ...] = ()
        for part in path:
            place = (*place, part)
            if place in counts:
                place = (*place, counts[place])
        return place

    for path, line, is_array in scan.order:
        if is_array:
            table = (*numbered(path[:-1]), path[-1])
            counts[table] = counts.get(table, -1) + 1
        found.setdefault(numbered(path), line)
    return found


def nearest_line(lines: dict[Path, int], path: Path) -> int:
    """Return the line of a path, or of the longest part of it that has one; 0 if none has."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 0


class _Scan:
    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.at = 0
        self.line = 1
        self.found: dict[Path, int] = {}
        self.headers: set[Path] = set()
        self.order: list[tuple[Path, int, bool]] = []
        """Each table and key with its line, as they stand; and whether it is a table of an array."""

    def run(self) -> dict[Path, int]:
        table: Path = ()
        while True:
            self.skip_blank(newlines=True)
            if self.at >= len(self.text):
                return self.found
            if self.peek() == "[":
                table = self.header()
            else:
                self.pair(table)

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def step(self, count: int = 1) -> None:
        self.line += self.text.count("\n", self.at, self.at + count)
        self.at += count

    def skip_blank(self, *, newlines: bool) -> None:
        while self.at < len(self.text):
            char = self.peek()
            if char == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif char in " \t" or (newlines and char == "\n"):
                self.step()
            else:
                return

    def remember(self, path: Path, line: int) -> None:
        for length in range(1, len(path) + 1):
            self.found.setdefault(path[:length], line)

    def header(self) -> Path:
        line = self.line
        is_array = self.text.startswith("[[", self.at)
        self.step(2 if is_array else 1)
        path = self.key()
        self.remember(path, line)
        self.order.append((path, line, is_array))
        self.headers.add(path)
        while self.at < len(self.text) and self.peek() == "]":
            self.step()
        return path

    def pair(self, table: Path) -> None:
        start, line = self.at, self.line
        path = table + self.key()
        self.remember(path, line)
        self.order.append((path, line, False))
        if self.peek() == "=":
            self.step()
        self.skip_blank(newlines=False)
        self.value(path)
        if self.at == start:  # not TOML after all; go on rather than stand still
            self.step()

    def key(self) -> Path:
        parts: list[str] = []
        while True:
            self.skip_blank(newlines=False)
            char = self.peek()
            if char and char in "\"'":
                start = self.at
                self.string()
                parts.append(self.text[start + 1 : self.at - 1])
            else:
                start = self.at
                while self.peek().isalnum() or self.peek() in ("_", "-"):
                    self.step()
                parts.append(self.text[start : self.at])
            self.skip_blank(newlines=False)
            if self.peek() != ".":
                return tuple(parts)
            self.step()

    def string(self) -> None:
        quote = self.peek()
        mark = quote * 3 if self.text.startswith(quote * 3, self.at) else quote
        self.step(len(mark))
        while self.at < len(self.text) and not self.text.startswith(mark, self.at):
            self.step(2 if quote == '"' and self.peek() == "\\" else 1)
        self.step(len(mark))
        while len(mark) == 3 and self.peek() == quote:  # up to two quotes may stand before the closing three
            self.step()

    def value(self, path: Path) -> None:
        if self.peek() == "{":
            self.inline_table(path)
            return
        depth = 0
        while self.at < len(self.text):
            char = self.peek()
            if char in "\"'":
                self.string()
            elif char == "#":
                self.skip_blank(newlines=False)
            elif depth == 0 and char in "\n,}":
                return
            else:
                depth += (char in "[{") - (char in "]}")
                self.step()

    def inline_table(self, path: Path) -> None:
        self.step()
        while self.at < len(self.text):
            self.skip_blank(newlines=True)
            if self.peek() == "}":
                self.step()
                return
            if self.peek() == ",":
                self.step()
            else:
                self.pair(path)


def nearest_name(name: str, known: list[str]) -> str:
    """Say which known name is meant, or which there are."""
    if not known:
        return ""
    import difflib  # half a megabyte that a right configuration does not need

    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f'; did you mean "{near[0]}"?' if near else f"; known are {', '.join(known)}"
