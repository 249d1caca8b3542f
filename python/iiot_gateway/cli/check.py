"""`check`: reports every fault of the configuration and of its profiles at once. Nothing is started."""

from __future__ import annotations

import argparse
import sys

from iiot_gateway.config.load import examine
from iiot_gateway.config.wiring import NO_SOURCE, profile_files, profile_path
from iiot_gateway.errors import ConfigError, ProfileInvalid


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """Take no arguments but --config."""


def run(args: argparse.Namespace) -> int:
    """Print what is configured, or raise ConfigError with every fault."""
    from iiot_gateway.profile import read_profile
    from iiot_gateway.sinks.alerts.given import rules_in

    config, faults = examine(args.config)
    files = {profile_path(config.base, config.gateway.profile), *profile_files(config).values()}
    for path in sorted(file for file in files if file.is_file()):  # a missing profile is already a fault of the configuration
        try:
            read_profile(path)
            rules_in(path)
        except ProfileInvalid as error:
            faults += error.faults
    if faults:
        raise ConfigError(faults)
    for note in config.notes:
        print(f"note: {note}", file=sys.stderr)
    sources = list(profile_files(config))
    if not sources:
        print(f"note: {NO_SOURCE}", file=sys.stderr)
    sinks = list(config.sinks())
    print(f"good: sources {', '.join(sources) or 'none'}; sinks {', '.join(sinks) or 'none'}; journal {config.journal_path()}")
    return 0
