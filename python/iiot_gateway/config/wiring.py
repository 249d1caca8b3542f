"""Derives the rules of each source from the sections: profile file, prefix, tags. From files, only the names of profiles are read."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from iiot_gateway.config.component import SourceSection
from iiot_gateway.config.files import read_text

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config

PROFILES = Path(__file__).resolve().parent.parent / "profiles"
BUILT_IN_PROFILES = tuple(sorted(file.stem for file in PROFILES.glob("*.toml")))
DEFAULT_PROFILE = "lora-bridge"


@dataclass(frozen=True, slots=True)
class SourceRules:
    """The rules of a source, for the journal."""

    name: str
    profile: Path
    topic_prefix: str
    tags: dict[str, str]
    dedup_window_s: float
    max_document_bytes: int
    rtt_channel: str | None


NO_SOURCE = "no source, so nothing will come: set gateway.chip, or add [serial] or [simulate]"


def profile_path(base: Path, profile: str) -> Path:
    """Return the file of a profile. A text that ends in .toml is a path; any other text is the name of a built-in profile."""
    if profile.endswith(".toml"):
        # The ~ of an unknown user stays in the path, and no such file exists.
        return base / os.path.expanduser(profile)
    return PROFILES / f"{profile or DEFAULT_PROFILE}.toml"


def source_rules(config: Config, name: str, section: SourceSection) -> SourceRules:
    """Combine a source's own keys with those that [gateway] gives to all sources."""
    return SourceRules(
        name=name,
        profile=profile_path(config.base, section.profile or config.gateway.profile),
        topic_prefix=section.topic_prefix or config.topic_prefix(),
        tags={**config.gateway.tags, **section.tags},
        dedup_window_s=section.dedup_window_s,
        max_document_bytes=section.max_document_bytes,
        rtt_channel=getattr(section, "rtt_channel", "") or None,
    )


def profile_files(config: Config) -> dict[str, Path]:
    """Return the profile file of every configured source, by the source's name."""
    return {name: source_rules(config, name, section).profile for name, section in config.sources().items()}


def profile_name(file: Path) -> str | None:
    """Return the name in a profile; None if the profile cannot be read, which is reported elsewhere."""
    try:
        name = tomllib.loads(read_text(file)).get("name")
    except (OSError, ValueError):
        return None
    return name if isinstance(name, str) else None


def time_formats(file: Path) -> set[str]:
    """Return the formats of the times that a profile reads. Empty if it reads none, or cannot be read, which is reported elsewhere."""
    try:
        profile = tomllib.loads(read_text(file))
    except (OSError, ValueError):
        return set()
    points = profile.get("point", [])
    given = [profile.get("time"), *(point.get("time") for point in points if isinstance(point, dict))]
    return {str(time.get("format")) for time in given if isinstance(time, dict) and time.get("path")}
