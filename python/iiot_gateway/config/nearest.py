"""Finds the known name that the author of an unknown name probably meant."""

from __future__ import annotations


def nearest_name(name: str, known: list[str]) -> str:
    """Return a sentence with the name that was probably meant, or with all known names."""
    if not known:
        return ""
    import difflib  # this module takes half a megabyte, which a valid configuration does not need

    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f'; did you mean "{near[0]}"?' if near else f"; known are {', '.join(known)}"
