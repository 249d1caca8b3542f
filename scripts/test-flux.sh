#!/usr/bin/env bash
# Runs the queries in Flux over known points on a real engine: test-flux.sh [ARGUMENTS OF PYTEST...]
#
# The engine is InfluxDB 1.13, built from its Go module, because no registry has InfluxDB 2. The first time takes a quarter of an hour or less,
# and needs Go, Rust and pkg-config; the program is kept in ~/.cache/iiot-gateway. Where INFLUXDB_V2_URL names a server, that one is asked.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/environment.sh
. scripts/environment.sh
version=v1.13.2 wrapper=v0.3.0
cache="${XDG_CACHE_HOME:-$HOME/.cache}/iiot-gateway"
engine="$cache/influxd-$version"

build() (
    local folder
    for program in go cargo pkg-config; do
        command -v "$program" >/dev/null 2>&1 || die "$program is missing"
    done
    folder="$(mktemp -d)"
    trap 'rm -rf "$folder"' EXIT
    cd "$folder"
    # The toolchain that the module names need not be installed.
    export RUSTUP_TOOLCHAIN=${RUSTUP_TOOLCHAIN:-stable} CARGO_TERM_PROGRESS_WHEN=never GOFLAGS=-mod=mod
    go mod init flux-engine
    go get "github.com/influxdata/influxdb/cmd/influxd@$version" "github.com/influxdata/pkg-config@$wrapper"
    go build -o pkg-config github.com/influxdata/pkg-config
    PKG_CONFIG="$folder/pkg-config" go build -o influxd github.com/influxdata/influxdb/cmd/influxd
    mkdir -p "$cache"
    mv influxd "$engine"
)

if [ -z "${INFLUXDB_V2_URL:-}" ]; then
    if [ ! -x "$engine" ]; then
        say "building InfluxDB $version; the first time takes some minutes"
        quietly build || die "the build failed; its own words stand above"
    fi
    folder="$(mktemp -d)"
    port="$(.venv/bin/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
    printf '%s\n' 'reporting-disabled = true' 'bind-address = "127.0.0.1:0"' '[meta]' "dir = \"$folder/meta\"" '[data]' "dir = \"$folder/data\"" \
        "wal-dir = \"$folder/wal\"" '[monitor]' 'store-enabled = false' '[http]' "bind-address = \"127.0.0.1:$port\"" 'log-enabled = false' \
        'flux-enabled = true' >"$folder/influxdb.conf"
    "$engine" run -config "$folder/influxdb.conf" >"$folder/log" 2>&1 &
    server=$!
    trap 'kill "$server"; wait "$server" || true; rm -rf "$folder"' EXIT
    export INFLUXDB_V2_URL="http://127.0.0.1:$port"
    for _ in $(seq 100); do
        curl -s -o /dev/null "$INFLUXDB_V2_URL/ping" && break
        kill -0 "$server" 2>/dev/null || die "InfluxDB ended: $(cat "$folder/log")"
        sleep 0.1
    done
fi
.venv/bin/python -m pytest tests/product/test_panel_queries.py tests/product/test_alert_queries.py -k 'flux or daily or firmware' "$@"
