#!/usr/bin/env bash
# Only the tests against real servers; arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/environment.sh
. scripts/environment.sh
prepare dev
exec .venv/bin/python -m pytest -m servers "$@"
