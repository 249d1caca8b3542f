"""From sections to what each source needs: its name, profile file, prefix and tags. Only the names of profiles are read from files."""

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
    """What the journal is told of a source."""

    name: str
    profile: Path
    topic_prefix: str
    tags: dict[str, str]
    dedup_window_s: float
    max_document_bytes: int
    rtt_channel: str | None


NO_SOURCE = "no source, so nothing will come: set gateway.chip, or add [serial] or [simulate]"


def profile_path(base: Path, profile: str) -> Path:
    """Return the file of a profile: a path if it ends in .toml, else the name of one that is built in."""
    if profile.endswith(".toml"):
        # A ~ of nobody stays as it is: there is no such file then.
        return base / os.path.expanduser(profile)
    return PROFILES / f"{profile or DEFAULT_PROFILE}.toml"


def source_rules(config: Config, name: str, section: SourceSection) -> SourceRules:
    """Join a source's own keys with those that [gateway] gives to all."""
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
    """Return the name that a profile gives itself, None if it cannot be read; that is another fault."""
    try:
        name = tomllib.loads(read_text(file)).get("name")
    except (OSError, ValueError):
        return None
    return name if isinstance(name, str) else None


def time_formats(file: Path) -> set[str]:
    """Return the formats of the times that a profile reads; empty for none, or if it cannot be read; that is another fault."""
    try:
        profile = tomllib.loads(read_text(file))
    except (OSError, ValueError):
        return set()
    points = profile.get("point", [])
    given = [profile.get("time"), *(point.get("time") for point in points if isinstance(point, dict))]
    return {str(time.get("format")) for time in given if isinstance(time, dict) and time.get("path")}
