"""`config template`: prints a commented configuration with every default."""

from __future__ import annotations

import argparse

from iiot_gateway.config.template import template


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the only action."""
    parser.add_argument("action", choices=["template"])


def run(_args: argparse.Namespace) -> int:
    """Print the configuration."""
    print(template(), end="")
    return 0
