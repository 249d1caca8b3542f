#!/usr/bin/env bash
# Is the output still the same, to the byte? golden.sh REVISION [RECORDING...]
#
# Compares this tree with another revision: topics, payloads, lines and rejects of `decode`, and every point of a history after `replay`. The inputs
# are what the simulator of this tree prints, and recordings: those that are given, else those in the shared data of the tests
# ($IIOT_SHARED_DATA, or ../shared/data). A file whose name ends in .ndjson or .ndjson.gz is read with the profile chirpstack, others with lora-bridge.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/environment.sh
. scripts/environment.sh
[ $# -ge 1 ] || die "a revision to compare with is missing: golden.sh REVISION [RECORDING...]"
revision=$(git rev-parse --verify --quiet "$1^{commit}") || die "there is no revision $1"
shift
recordings=()
for file in "$@"; do recordings+=("$(realpath -- "$file")"); done
if [ ${#recordings[@]} -eq 0 ]; then
    shared=${IIOT_SHARED_DATA:-../shared/data}
    for file in "$shared"/lora/*.log.gz "$shared"/chirpstack/*.ndjson.gz; do
        if [ -f "$file" ]; then recordings+=("$(realpath -- "$file")"); fi
    done
fi

work=$(mktemp -d)
other=$work/tree
cleanup() {
    git worktree remove --force "$other" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
git worktree add --quiet --detach "$other" "$revision"
prepare ""
(cd "$other" && . scripts/environment.sh && prepare "")

"$PWD/.venv/bin/iiot-gateway" simulate --nodes 5 --seed 3 --start 2026-01-01T00:00:00Z --rate max --count 20000 >"$work/simulated.log"
recordings=("$work/simulated.log" "${recordings[@]}")

# outputs TREE FOLDER: what the tree makes of every recording.
outputs() {
    local tree=$1 folder=$2 file name profile
    for file in "${recordings[@]}"; do
        name=$(basename "$file")
        case $name in *.ndjson | *.ndjson.gz) profile=chirpstack ;; *) profile=lora-bridge ;; esac
        mkdir -p "$folder/$name"
        (
            cd "$folder/$name"
            printf '[gateway]\nprofile = "%s"\n[gateway.tags]\nsite = "golden, \\"1\\""\n[journal]\npath = "journal.db"\n[history]\npath = "history.db"\n[http]\nenabled = false\n' \
                "$profile" >config.toml
            # Lines without their time, which is that of arrival for documents that have none; the history shows times.
            { "$tree/.venv/bin/iiot-gateway" decode "$file" 2>/dev/null || [ $? -le 5 ]; } | sed -E 's/ [0-9]{19}$//' >decoded.txt
            "$tree/.venv/bin/iiot-gateway" replay --once --speed max --start 2026-01-01T00:00:00Z "$file" >/dev/null 2>replay.log || [ $? -le 5 ]
            "$tree/.venv/bin/iiot-gateway" history export --csv - >history.csv 2>/dev/null
            if [ ! -s decoded.txt ] || [ "$(wc -l <history.csv)" -le 1 ]; then
                cat replay.log >&2
                die "$tree makes nothing of $file"
            fi
            rm -f journal.db* history.db* replay.log
        )
    done
}
outputs "$PWD" "$work/here"
outputs "$other" "$work/there"
if ! diff -r "$work/there" "$work/here" >"$work/difference"; then
    head -40 "$work/difference" >&2
    die "the output differs from that of $revision"
fi
(cd "$work/here" && wc -l ./*/*)
say "identical to $revision"
