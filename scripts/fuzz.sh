#!/usr/bin/env bash
# Fuzz framer, profile decoder, messages, line protocol and profiles with libFuzzer: fuzz.sh [SECONDS a target, 600 by default [TARGET...]]
#
# The inputs that reached something new stay in rust/iiot-core/fuzz/corpus/, so that the next run begins with them; one that broke a rule lies
# in artifacts/ beside it, and given to the target's program as its only argument it does so again. Neither a nightly toolchain nor cargo-fuzz is
# needed: the flags below are what that sets for coverage, and a sanitizer would find nothing in a crate that forbids unsafe code.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../rust/iiot-core/fuzz"
seconds=${1:-600}
shift || true
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then targets=(framer profile message lines rules); fi
command -v c++ >/dev/null 2>&1 || {
    echo "fuzz.sh: a C++ compiler is missing, for libFuzzer: apt install g++" >&2
    exit 1
}

host="$(rustc -vV | sed -n 's/^host: //p')"
flags=(--cfg fuzzing -C passes=sancov-module -C codegen-units=1 -C debug-assertions)
for coverage in level=4 inline-8bit-counters pc-table trace-compares; do flags+=(-C "llvm-args=-sanitizer-coverage-$coverage"); done
# With --target the flags are for what runs here, and not for build scripts.
RUSTFLAGS="${flags[*]}" cargo build --release --locked --quiet --target "$host" --target-dir target

# The vectors of the tests to begin with: a framer's input has four bytes in front, which say how it is cut.
python3 - <<'SEEDS'
import json
from pathlib import Path

for file in Path("../../../tests/vectors/decode").glob("*.json"):
    vector = json.loads(file.read_text())
    seeds = {"framer": [b"\xff\x07\x01\x40" + vector["input"].encode()], "profile": [f["document"].encode() for f in vector["expected"]["frames"] if "document" in f]}
    seeds["message"] = [bytes([number % 5 + 1]) + document for number, document in enumerate(seeds["profile"])]
    for target, inputs in seeds.items():
        folder = Path("corpus") / target
        folder.mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(inputs):
            (folder / f"{file.stem}-{number}").write_bytes(content)
# Profiles with a topic and a document, zero bytes between them.
profiles = [*Path("../tests/profiles").glob("*.toml"), *Path("../../../python/iiot_gateway/profiles").glob("*.toml")]
folder = Path("corpus/rules")
folder.mkdir(parents=True, exist_ok=True)
for file in profiles:
    for topic, document in (("", '{"n1":{"t":1,"seq":2},"ts":5}'), ("factory/dosing/consumption", '[{"device_id":"d","actual_g":1.5,"timestamp":1700000000}]')):
        (folder / f"{file.stem}-{len(topic)}").write_bytes(b"\0".join(part.encode() for part in (file.read_text(), topic, document)))
SEEDS

mkdir -p corpus/lines
printf '\0weather,place=hall\\ 1 t=54.10,n=45000i,u=7u,on=t,s="a \\"b\\"" 1764417600000000000\n# comment\nm f=1e5\n' >corpus/lines/seed

for target in "${targets[@]}"; do
    mkdir -p "artifacts/$target" "corpus/$target"
    log="artifacts/$target.log"
    echo "== $target, $seconds s" >&2
    if ! "target/$host/release/$target" "corpus/$target" -max_total_time="$seconds" -max_len=65536 -timeout=10 -print_final_stats=1 \
        -artifact_prefix="artifacts/$target/" 2>"$log"; then
        cat "$log" >&2
        exit 1
    fi
    sed -n 's/^stat::/  /p' "$log"
done
