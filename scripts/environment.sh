# shellcheck shell=bash
# Sourced by the other scripts, in the project's root: the virtual environment with the built package, made anew only when something changed.

say() { printf '%s\n' "$*" >&2; }
die() {
    say "$(basename "$0"): $*"
    exit 1
}

# quietly COMMAND...: run it without a word; if it fails, everything that it said.
quietly() {
    local output status=0
    output="$(mktemp)"
    "$@" >"$output" 2>&1 </dev/null || status=$?
    if [ "$status" -ne 0 ]; then cat "$output" >&2; fi
    rm -f "$output"
    return "$status"
}

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3.13 python3.12 python3.11 python3; do
        if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

# Everything that the installed package is built from. Names, sizes and times show a change within milliseconds; the Python files are
# used where they lie, so they are not among them.
stamp_of_sources() {
    find Cargo.toml Cargo.lock pyproject.toml rust -name target -prune -o -type f -printf '%p %s %T@\n' 2>/dev/null | LC_ALL=C sort | cksum
}

# prepare_page: build the web page from web/ if something changed. Without npm the gateway runs all the same, and says that it has no page.
prepare_page() {
    local page=python/iiot_gateway/web/index.html stamp_file=web/node_modules/.built stamp
    stamp="$(find web -name node_modules -prune -o -type f -printf '%p %s %T@\n' | LC_ALL=C sort | cksum)"
    if [ -f "$page" ] && [ -f "$stamp_file" ] && [ "$(cat "$stamp_file")" = "$stamp" ]; then return; fi
    if ! command -v npm >/dev/null 2>&1; then
        say "npm is missing, so there is no new web page (apt install nodejs npm); the gateway runs without"
        return 1
    fi
    say "building the web page"
    if ! (cd web && quietly npm ci --silent --ignore-scripts && quietly npm run --silent build); then
        say "the web page could not be built; its own words stand above, and the gateway runs without"
        return 1
    fi
    printf '%s\n' "$stamp" >"$stamp_file"
}

# Which profile of Cargo the extension is built with. What was built with one counts as nothing for another.
build_profile() { printf '%s' "${IIOT_BUILD_PROFILE:-release}"; }

# is_prepared [EXTRA]: whether .venv holds what `prepare` would put there.
is_prepared() {
    local stamp_file=".venv/built${1:+-with-$1}"
    [ -x .venv/bin/iiot-gateway ] && [ -f "$stamp_file" ] && [ "$(cat "$stamp_file")" = "$(build_profile) $(stamp_of_sources)" ]
}

# choose_build PROFILE...: take the first of these profiles of which there is a build, or else the last, unless IIOT_BUILD_PROFILE names one.
choose_build() {
    if [ -z "${IIOT_BUILD_PROFILE:-}" ]; then
        for IIOT_BUILD_PROFILE in "$@"; do
            if is_prepared; then break; fi
        done
    fi
    export IIOT_BUILD_PROFILE
}

# prepare [EXTRA]: make .venv hold the package, with the dependencies of an extra.
prepare() {
    local extra=${1:-} python
    prepare_page || true
    if is_prepared "$extra"; then return; fi
    command -v cargo >/dev/null 2>&1 || die "Rust is missing: install it from https://rustup.rs (1.89 or later)"
    command -v cc >/dev/null 2>&1 || die "a C compiler is missing: apt install build-essential"
    if [ ! -x .venv/bin/python ]; then
        python="$(find_python)" || die "Python 3.11 or later is missing: apt install python3 python3-venv"
        say "making the environment in .venv"
        "$python" -m venv .venv || die "the environment could not be made: apt install python3-venv"
    fi
    if [ ! -x .venv/bin/maturin ]; then
        quietly .venv/bin/python -m pip install --quiet --disable-pip-version-check 'maturin>=1.9.4,<2' ||
            die "maturin could not be installed: is there a way to a package index?"
    fi
    say "building the extension; the first time takes some minutes"
    rm -f .venv/built*
    # It calls cargo and pip, whose lists of everything they did would hide what is said here.
    quietly env PIP_QUIET=1 PIP_DISABLE_PIP_VERSION_CHECK=1 VIRTUAL_ENV="$PWD/.venv" \
        .venv/bin/maturin develop --profile "$(build_profile)" --quiet ${extra:+--extras "$extra"} || die "the build failed; its own words stand above"
    # Compiled once now, so that no start pays for it in time or memory.
    .venv/bin/python -m compileall -q .venv/lib python 2>/dev/null || true
    printf '%s %s\n' "$(build_profile)" "$(stamp_of_sources)" >.venv/built
    if [ -n "$extra" ]; then cp .venv/built ".venv/built-with-$extra"; fi
}
