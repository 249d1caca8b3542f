"""Checks whether MQTT allows a text in topics and topic filters: a broker may close the connection for any other text. Pure."""

from __future__ import annotations

import re

from iiot_gateway._native import MQTT_PREFIX_BYTES, mqtt_text_fault

PREFIX_FAULT = "expected levels parted by single slashes, without + and #"
SHARE_LEVELS = 3


def prefix_fault(text: str) -> str | None:
    """Return why a text cannot be the beginning of topics, or a topic; None if it can."""
    if not text or text.startswith("$") or re.search(r"[+#]|//|^/|/$", text):
        return PREFIX_FAULT
    return mqtt_text_fault(text, max_bytes=MQTT_PREFIX_BYTES)


def filter_fault(text: str) -> str | None:
    """Return why a text is no topic filter; None if it is one."""
    if fault := mqtt_text_fault(text):
        return f"a topic filter {fault}"
    levels = text.split("/")
    if levels[0] == "$share":
        if len(levels) < SHARE_LEVELS or not levels[1] or re.search(r"[+#]", levels[1]):
            return f"{text!r} is no shared subscription: expected $share/GROUP/FILTER"
        levels = levels[2:]
    wrong = any("#" in level and (level != "#" or place != len(levels) - 1) for place, level in enumerate(levels))
    if not text or levels == [""] or wrong or any("+" in level and level != "+" for level in levels):
        return f"{text!r} is no topic filter: + stands for a whole level, and # for the rest, at the end"
    return None


def overlaps(one: str, other: str) -> bool:
    """Return whether two valid topic filters match a common topic."""
    left, right = _levels(one), _levels(other)
    for place in range(max(len(left), len(right)) + 1):
        here = [levels[place] if place < len(levels) else None for levels in (left, right)]
        if "#" in here:
            # Wildcards do not match topics that begin with $.
            return place > 0 or not any(level is not None and level.startswith("$") for level in here)
        if None in here:
            return here == [None, None]
        if "+" in here:
            if place == 0 and any(level is not None and level.startswith("$") for level in here):
                return False
            continue
        if here[0] != here[1]:
            return False
    return True


def _levels(topic_filter: str) -> list[str]:
    levels = topic_filter.split("/")
    return levels[2:] if levels[0] == "$share" else levels
