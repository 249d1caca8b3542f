#!/usr/bin/env bash
# Only the tests against real servers: brokers, databases, backups of them, and the broker of docker-compose.yml. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/environment.sh
. scripts/environment.sh
# What no package of Debian has runs where somebody has it.
for name in TIMESCALEDB_URL INFLUXDB_V2_URL; do
    if [ -z "${!name:-}" ]; then say "$name is not set: its tests are left out (CONTRIBUTING.md)"; fi
done
choose_build release tests
prepare dev
exec .venv/bin/python -m pytest -m servers "$@"
