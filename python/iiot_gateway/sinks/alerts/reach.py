"""Finds rules that can never fire, because no profile of a source gives the values that they watch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from iiot_gateway._native import Profile, ProfileError
from iiot_gateway.config.files import read_text
from iiot_gateway.config.wiring import profile_files

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config
    from iiot_gateway.sinks.alerts.given import GivenRule


def unreachable(config: Config, rules: Sequence[GivenRule]) -> Iterator[str]:
    """Yield a sentence on each rule of the configuration whose values no source gives."""
    profiles = []
    for file in dict.fromkeys(profile_files(config).values()):
        try:
            profiles.append(Profile.parse(read_text(file)))
        except (OSError, ValueError, ProfileError):
            return  # this is reported as a fault elsewhere
    for given in rules:
        rule = given.rule
        if given.profiles or rule.gateway or not profiles or any(profile.may_give(rule.measurement, rule.field) for profile in profiles):
            continue
        what = f"{rule.field} of {rule.measurement}" if rule.field else rule.measurement
        yield f"the alert {rule.name} never fires: no profile of a source gives {what}"
