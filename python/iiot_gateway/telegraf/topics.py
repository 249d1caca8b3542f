"""Compares topic filters, finds their common topics, and makes subscriptions that do not overlap."""

from __future__ import annotations

import re
from collections.abc import Sequence

SHARE_LEVELS = 2


def plain(topic_filter: str) -> str:
    """Return a filter without the group of a shared subscription."""
    levels = topic_filter.split("/")
    return "/".join(levels[SHARE_LEVELS:]) if levels[0] == "$share" else topic_filter


def covers(wide: str, narrow: str) -> bool:
    """Return whether the wide filter matches every topic of the narrow filter."""
    return common(wide, narrow) == narrow


def common(one: str, other: str) -> str | None:
    """Return the filter that matches the common topics of two filters; None if they have none."""
    left, right, levels = one.split("/"), other.split("/"), list[str]()
    for place in range(max(len(left), len(right)) + 1):
        here = [side[place] if place < len(side) else None for side in (left, right)]
        if here[0] == "#":
            return "/".join([*levels, *right[place:]]) or one
        if here[1] == "#":
            return "/".join([*levels, *left[place:]]) or other
        if None in here:
            return "/".join(levels) if here == [None, None] else None
        if here[0] != "+" and here[1] not in ("+", here[0]):
            return None
        levels.append(str(here[1] if here[0] == "+" else here[0]))
    return None


def widest(filters: Sequence[str]) -> list[str]:
    """Return the filters that no other one covers."""
    found: list[str] = []
    for topic_filter in dict.fromkeys(filters):
        if not any(covers(known, topic_filter) for known in found):
            found = [*(known for known in found if not covers(topic_filter, known)), topic_filter]
    return found


def subscriptions(filters: Sequence[str]) -> list[str]:
    """Return filters for the same topics, no two of which overlap, so that no message comes twice. They may match further topics."""
    found: list[str] = []
    for topic_filter in filters:
        wide = topic_filter
        while overlapping := next((known for known in found if overlaps(known, wide)), None):
            found.remove(overlapping)
            if covers(plain(overlapping), plain(wide)):
                wide = overlapping
            elif not covers(plain(wide), plain(overlapping)):
                wide = _both(plain(overlapping), plain(wide))
        found.append(wide)
    return found


def overlaps(one: str, other: str) -> bool:
    """Return whether two filters, perhaps of shared subscriptions, match a common topic."""
    return common(plain(one), plain(other)) is not None


def _both(one: str, other: str) -> str:
    """Return a filter that covers two overlapping filters."""
    levels: list[str] = []
    left, right = one.split("/"), other.split("/")
    for here, there in zip(left, right, strict=False):
        if "#" in (here, there):
            return "/".join([*levels, "#"])
        levels.append(here if here == there else "+")
    return "/".join(levels if len(left) == len(right) else [*levels, "#"])


def is_literal(topic_filter: str) -> bool:
    """Return whether a filter matches exactly one topic."""
    return not re.search(r"(^|/)[+#](/|$)", topic_filter)
