"""Collects the rules from the configuration, the profiles of the sources, and the gateway itself.

A rule of the configuration replaces a rule of the same name from another place.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from iiot_gateway.config.files import read_text
from iiot_gateway.config.wiring import profile_files, profile_path
from iiot_gateway.errors import Fault, ProfileInvalid
from iiot_gateway.sinks.alerts.rule_section import COMPONENT, AlertSection, rule_faults

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config

OF_GATEWAY = Path(__file__).with_name("gateway.toml")


@dataclass(frozen=True, slots=True)
class GivenRule:
    """A rule, and the place where it is defined."""

    rule: AlertSection
    profiles: tuple[str, ...] = ()
    """Only for frames of these profiles; none: of any."""


def given_rules(config: Config, *, quiet: bool = False) -> list[GivenRule]:
    """Return every rule that the sources can use. Raises ProfileInvalid; with `quiet`, files with faults are left out instead.

    Without any source, the profile of [gateway] counts, because `replay` uses it.
    """
    own = {rule.name: GivenRule(rule) for rule in config.of(AlertSection).values()}
    others: dict[str, GivenRule] = {}
    profiles = list(profile_files(config).values()) or [profile_path(config.base, config.gateway.profile)]
    files = dict.fromkeys([*profiles, OF_GATEWAY])
    for file in files:
        try:
            found = rules_in(file)
        except ProfileInvalid:
            if not quiet:
                raise
            continue
        for given in found:
            name = given.rule.name
            before = others.setdefault(name, given)
            if before.rule == given.rule:
                others[name] = GivenRule(given.rule, tuple(dict.fromkeys([*before.profiles, *given.profiles])))
            elif name not in own and not quiet:
                message = f"alert.name: another profile has another rule called {name!r}: rename one, or write it into the configuration"
                raise ProfileInvalid(str(file), [(0, message)])
    return [*(given for name, given in others.items() if name not in own), *own.values()]


def rules_in(file: Path) -> list[GivenRule]:
    """Return the rules of a profile file, or of the file with the gateway's rules. Raises ProfileInvalid with every fault."""
    from iiot_gateway.config.load import fault_in_list, load_list

    try:
        text = read_text(file)
        tables = tomllib.loads(text)
    except (OSError, ValueError):
        return []  # the code that compiles the profile reports its faults
    if "alert" not in tables:
        return []
    profiles = () if file == OF_GATEWAY else (str(tables.get("name", "")),)
    rules, faults = load_list(text, COMPONENT, str(file), file.parent)
    names: set[str] = set()
    for at, rule in enumerate(rules):
        wrong = rule_faults(rule)
        if rule.name in names:
            wrong.append(("name", f"another rule is called {rule.name!r}; each needs a name of its own"))
        if rule.receivers:
            wrong.append(("receivers", "belongs into the configuration, which knows who is told"))
        names.add(rule.name)
        faults += [fault_in_list(text, ("alert", str(at), key), str(file), message) for key, message in wrong]
    if faults:
        raise _invalid(file, faults)
    return [GivenRule(rule, profiles) for rule in rules]


def _invalid(file: Path, faults: list[Fault]) -> ProfileInvalid:
    return ProfileInvalid(str(file), [(fault.line, f"{fault.key}: {fault.message}" if fault.key else fault.message) for fault in faults])
