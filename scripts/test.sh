#!/usr/bin/env bash
# The other command: installs the servers that tests need where it may, builds, and runs everything: test.sh [--quick] [ARGUMENTS OF PYTEST...]
#
# --quick is for in between: linters, the unit tests of the crates, and the tests of the package that are not slow.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/environment.sh
. scripts/environment.sh

# program:package of Debian
needed=(mosquitto:mosquitto mosquitto_sub:mosquitto-clients victoria-metrics:victoria-metrics influxd:influxdb shellcheck:shellcheck npm:npm
    chromium:chromium mvn:maven '/usr/lib/postgresql/*/bin/initdb:postgresql' qemu-system-arm:qemu-system-arm c++:g++ openssl:openssl)
PATH="$PATH:/usr/sbin"

# The firmware is compiled by rustup's toolchain where the target can be had, else by Debian's.
firmware_target=thumbv7em-none-eabihf
if ! { command -v rustup >/dev/null 2>&1 && timeout 120 rustup target add "$firmware_target" >/dev/null 2>&1; }; then
    needed+=(/usr/bin/rustc:rustc-web /usr/bin/cargo:cargo-web /usr/bin/lld-19:lld-19 /usr/bin/clippy-driver:rust-web-clippy
        /usr/lib/rustlib/src/rust/library/core/Cargo.toml:rust-web-src)
fi

has() { command -v "$1" >/dev/null 2>&1 || compgen -G "$1" >/dev/null; }

# can_build PYTHON: whether it can make an environment, and has the library that the tests of the extension's crate load.
can_build() {
    "$1" - 2>/dev/null <<'PYTHON'
import ensurepip, os, sys, sysconfig, venv

library = os.path.join(sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("LDLIBRARY"))
sys.exit(sys.version_info < (3, 11) or not os.path.exists(library))
PYTHON
}

install_servers() {
    local entry missing=() as_root=()
    for entry in "${needed[@]}"; do
        has "${entry%%:*}" || missing+=("${entry##*:}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then as_root=(sudo -n); fi
    if command -v apt-get >/dev/null 2>&1 && { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }; then
        say "installing ${missing[*]}"
        "${as_root[@]}" apt-get update -qq || true
        # No service of these is wanted on the machine: the tests start their own.
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || true
    fi
    for entry in "${needed[@]}"; do
        has "${entry%%:*}" && continue
        if [ -n "${CI:-}" ]; then die "${entry##*:} is missing, and in CI no test may be skipped"; fi
        say "${entry##*:} is missing; its tests are skipped (apt install ${entry##*:})"
    done
}

TIMEFORMAT='   %0R s, CPU %0U + %0S s'
step() {
    say "== $*"
    time "$@"
}

# run_tests [ARGUMENTS OF PYTEST...]: without arguments the product tests, which mostly wait, and all others beside them.
run_tests() {
    local log others status=0 selection=()
    if [ -n "$quick" ]; then selection=(-m 'not slow'); fi
    if [ $# -gt 0 ]; then
        $python -m pytest "${selection[@]}" "$@"
        return
    fi
    log="$(mktemp)"
    $python -m pytest "${selection[@]}" tests --ignore=tests/product >"$log" 2>&1 &
    others=$!
    $python -m pytest "${selection[@]}" tests/product || status=$?
    wait "$others" || status=$?
    cat "$log"
    rm -f "$log"
    return "$status"
}

quick=
if [ "${1:-}" = --quick ]; then
    quick=1
    shift
fi
install_servers
# A new environment takes Debian's Python. It was optimised with profiles, and needs a seventh less CPU time than one that pyenv compiled.
if [ -z "${PYTHON:-}" ] && can_build /usr/bin/python3; then PYTHON=/usr/bin/python3; fi
# The best build that is there, or else the one that is made soonest. Scripts and the wheel, which tests build, take the same profile.
choose_build release tests
step prepare dev
if [ -n "${CI:-}" ] || command -v npm >/dev/null 2>&1; then
    step prepare_page
    step npm --prefix web run --silent check
fi
python=.venv/bin/python
# The test binary of the extension's crate loads the interpreter's library.
libdir="$($python -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR") or "")')"
export LD_LIBRARY_PATH="$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export PYO3_PYTHON="$PWD/$python"

if [ -n "$quick" ]; then
    step cargo fmt --all --check
    step cargo clippy --profile tests --workspace --all-targets --quiet -- -D warnings
    step cargo test --profile tests --workspace --lib --quiet
    step .venv/bin/ruff format --check --quiet
    step .venv/bin/ruff check --quiet
    step .venv/bin/mypy
    step run_tests "$@"
    say "all good so far; without --quick everything runs"
    exit
fi

step cargo fmt --all --check
step cargo fmt --manifest-path firmware/Cargo.toml --all --check
step cargo clippy --profile tests --workspace --all-targets --quiet -- -D warnings
step cargo test --profile tests --workspace --quiet
step cargo clippy --manifest-path firmware/Cargo.toml -p logic -p drivers --all-targets --quiet -- -D warnings
step cargo test --manifest-path firmware/Cargo.toml -p logic -p drivers --quiet
if [ -n "${CI:-}" ] || scripts/build-firmware.sh toolchain; then
    # Linted as built for the other region, so that both builds are seen.
    step scripts/build-firmware.sh --region us915 lint
    step scripts/build-firmware.sh qemu board
fi
if [ -n "${CI:-}" ]; then
    # Ten million mutations of the radio protocol, and the table of what arrives over a bad channel.
    # With --workspace nothing is built anew: the features are those of the step above. The words choose the tests of iiot-proto.
    step env IIOT_FUZZ_ITERATIONS=10000000 cargo test --profile tests --workspace --quiet --test all -- mutated_packets mutated_lines mutated_conversations
    # The same for whole nodes.
    step env IIOT_FUZZ_ITERATIONS=10000000 cargo test --manifest-path firmware/Cargo.toml --quiet -p logic --test mutations
    step "${CARGO_TARGET_DIR:-target}/tests/examples/link_table"
fi
step .venv/bin/ruff format --check --quiet
step .venv/bin/ruff check --quiet
step .venv/bin/mypy
step $python -m mypy.stubtest iiot_gateway._native --concise
if command -v shellcheck >/dev/null 2>&1; then step shellcheck -x scripts/*.sh scripts/fake-probe-rs .ci/run deploy/grafana/start.sh; fi
step run_tests "$@"
# Briefly, so that the benchmarks cannot rot (those of the crates are run by cargo test); scripts/bench.sh measures.
if compgen -G 'benches/test_*.py' >/dev/null; then
    step $python -m pytest benches --benchmark-enable --benchmark-min-rounds=1 --benchmark-max-time=0.2 --benchmark-warmup=off -q
fi
step scripts/fuzz.sh 8
say "all good"
