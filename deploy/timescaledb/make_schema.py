"""Print the statements of `postgresql init` for a new TimescaleDB: `schema.sql` beside this file; with --unique that of deploy/fleet.

The server runs them when it is made, before there is a gateway. A test compares the file with what this prints.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from iiot_gateway.cli.postgresql_init import statements
from iiot_gateway.sinks.postgresql.plant import PLANS
from iiot_gateway.sinks.postgresql.schema import Roles

VERSION = 150000
"""Of the server, as `server_version_num` says it."""


def main() -> None:
    """Print them."""
    options = sys.argv[1:]
    plan = replace(PLANS["factory-dosing"], is_unique="--unique" in options)
    sys.stdout.write(
        f"-- The statements of `{' '.join(['iiot-gateway postgresql init --profile factory-dosing', *options])}`, by make_schema.py.\n"
    )
    sys.stdout.write("CREATE EXTENSION IF NOT EXISTS timescaledb;\n")
    for statement in statements(plan, "public", VERSION, "timescale", plan.retention(), Roles("iiot_writer", "iiot_reader")):
        sys.stdout.write(f"{statement};\n")


if __name__ == "__main__":
    main()
