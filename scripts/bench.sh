#!/usr/bin/env bash
# Every figure beside what it is compared with: bench.sh [--json FILE] [--short] [--only GROUP...]; see docs/benchmarks.md.
set -euo pipefail
called_from=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/environment.sh
. scripts/environment.sh
for program in mosquitto victoria-metrics; do
    PATH="$PATH:/usr/sbin" command -v "$program" >/dev/null 2>&1 || die "$program is missing: apt install $program"
done
export IIOT_BUILD_PROFILE=release
prepare dev
cargo build --release --quiet -p iiot-bench || die "the bare program could not be built"
root=$PWD
cd "$called_from"
PYTHONPATH="$root/tests" exec "$root/.venv/bin/python" "$root/benches/run.py" "$@"
