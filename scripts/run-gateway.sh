#!/usr/bin/env bash
# The one command: makes the environment, builds what has changed, and runs the gateway with the arguments given. Without any: `run` where there is
# a config.toml, else `demo`.
# Relative paths in the arguments begin where it was called.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
# shellcheck source=scripts/environment.sh
. "$root/scripts/environment.sh"
(cd "$root" && prepare "")
if [ $# -eq 0 ]; then if [ -e config.toml ]; then set -- run; else set -- demo; fi; fi
exec "$root/.venv/bin/iiot-gateway" "$@"
