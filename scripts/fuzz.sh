#!/usr/bin/env bash
# Fuzz framer and profile decoder: fuzz.sh [SECONDS a target, 600 by default [TARGET...]]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../rust/iiot-core"
cargo fuzz --version >/dev/null 2>&1 || { echo "cargo-fuzz is missing: cargo install cargo-fuzz (it needs a nightly toolchain)" >&2; exit 1; }
seconds=${1:-600}
shift || true
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then mapfile -t targets < <(cargo +nightly fuzz list); fi
for target in "${targets[@]}"; do
    cargo +nightly fuzz run "$target" -- -max_total_time="$seconds" -max_len=65536
done
