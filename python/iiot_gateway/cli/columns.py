"""Writes rows of text in columns, for people."""

from __future__ import annotations

from collections.abc import Sequence

from iiot_gateway.visible import visible


def lined_up(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the lines. Each cell is safe for a terminal, and numbers are aligned on the right."""
    cells = [[visible(cell) for cell in row] for row in [heading, *rows]]
    widths = [max(len(row[at]) for row in cells) for at in range(len(heading))]
    right = [all(_is_number(row[at]) for row in rows) for at in range(len(heading))]
    lines = ("  ".join(f"{cell:{'>' if right[at] else '<'}{widths[at]}}" for at, cell in enumerate(row)).rstrip() for row in cells)
    return "\n".join(lines)


def _is_number(text: str) -> bool:
    try:
        float(text or "0")
    except ValueError:
        return False
    return True


def room(size: int) -> str:
    """Return a number of bytes as a text in megabytes."""
    return f"{size / 1e6:.2f}"
