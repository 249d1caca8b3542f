"""Matches topics with patterns of MQTT: + stands for one level, # for all that follow (MQTT 5.0, 4.7.1). Pure."""

from __future__ import annotations

MAX_BYTES = 65535


def pattern_fault(pattern: str) -> str | None:
    """Return what is wrong with a pattern; None if it is right."""
    *before, last = pattern.split("/")
    for wildcard in "+#":
        for level in (*before, last):
            if wildcard in level and level != wildcard:
                return f"{wildcard} must stand alone in its level, and stands in {level!r}"
    if "#" in before:
        return "# must be the last level"
    if not pattern:
        return "it is empty"
    if "\0" in pattern or len(pattern.encode(errors="replace")) > MAX_BYTES:
        return f"a topic holds no NUL and at most {MAX_BYTES} bytes"
    return None


def topic_matches(pattern: str, topic: str) -> bool:
    """Return whether a topic matches a pattern with + and #."""
    wanted, levels = pattern.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted, levels = wanted[:-1], levels[: len(wanted) - 1]
    return len(wanted) == len(levels) and all(want in ("+", level) for want, level in zip(wanted, levels, strict=True))
