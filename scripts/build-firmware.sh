#!/usr/bin/env bash
# Build the firmware of both nodes: build-firmware.sh [--CHOICE VALUE]... [qemu|board|lint|toolchain]..., by default qemu and board. The results:
#   firmware/target/qemu/nodeN-firmware                            for the emulation, which gives each node its settings when it starts it
#   firmware/target/thumbv7em-none-eabihf/release/nodeN-firmware   for the NUCLEO-F446RE, with these compiled in:
#     --region eu868|us915           eu868 by default; the next four follow from it
#     --band-hz HZ                   centre of the channel, 869525000 (eu868) or 915000000 (us915)
#     --parameter SF,BW,CR,PREAMBLE  as AT+PARAMETER takes them, 7,7,1,12 (eu868) or 9,9,1,12 (us915)
#     --power-dbm DBM                14 (eu868) or 22 (us915)
#     --network-id ID                3 to 15, or 18, the default
#     --gateway ADDRESS              the gateway node's address, 2 by default
#     --address ADDRESS              a sensor node's address, 1 by default
#     --interval-s SECONDS           between two readings, 10 by default
#     --key DIGITS                   32 hexadecimal digits; without a key a node obeys no commands
# Each can be given in the environment instead, as IIOT_NODE_REGION, IIOT_NODE_KEY and so on. What does not go together is refused. `lint` runs clippy
# on both, `toolchain` only looks for a compiler.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../firmware"
target=thumbv7em-none-eabihf
emulated=(--features node1-firmware/qemu --features node2-firmware/qemu)

while [[ ${1:-} == --* ]]; do
    case ${1#--} in
    region | band-hz | parameter | power-dbm | network-id | gateway | address | interval-s | key) ;;
    *)
        echo "$(basename "$0"): $1 is none of --region, --band-hz, --parameter, --power-dbm, --network-id, --gateway, --address, --interval-s, --key" >&2
        exit 2
        ;;
    esac
    if [ $# -lt 2 ]; then
        echo "$(basename "$0"): $1 needs a value" >&2
        exit 2
    fi
    name=${1#--}
    name=${name//-/_}
    export "IIOT_NODE_${name^^}=$2"
    shift 2
done

has_target() { command -v rustup >/dev/null 2>&1 && rustup target list --installed 2>/dev/null | grep -qx "$target"; }
# Debian's compiler of the package rustc-web, with the sources of `core` beside it.
has_debian() {
    [ -x /usr/bin/cargo ] && [ -x /usr/bin/rustc ] && [ -x /usr/bin/lld-19 ] &&
        [ -f "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library/core/Cargo.toml" ]
}

toolchain=rustup
cargo=(cargo)
flags=(--locked --quiet --target "$target")
if has_target; then
    :
elif has_debian; then
    # This compiler takes `-Zbuild-std` only so; it stays out of the configuration, so that a toolchain with the target builds the ordinary way.
    export PATH="/usr/bin:$PATH" RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc CARGO_TARGET_THUMBV7EM_NONE_EABIHF_LINKER=/usr/bin/lld-19
    toolchain=debian
    cargo=(/usr/bin/cargo)
    flags+=(-Zbuild-std=core)
else
    echo "$(basename "$0"): there is no compiler for $target: rustup target add $target, or apt install rustc-web cargo-web rust-web-src lld-19" >&2
    exit 1
fi

if [ $# -eq 0 ]; then set -- qemu board; fi
for what in "$@"; do
    case $what in
    qemu)
        "${cargo[@]}" build --release "${flags[@]}" "${emulated[@]}"
        # Put aside, because the board's build goes to the same place.
        mkdir -p target/qemu
        cp "target/$target/release/node1-firmware" "target/$target/release/node2-firmware" target/qemu/
        ;;
    board)
        "${cargo[@]}" build --release "${flags[@]}"
        # Sizes depend on it: Debian's builds `core` for size too.
        echo "$toolchain" >target/toolchain
        ;;
    lint)
        "${cargo[@]}" clippy --release "${flags[@]}" -- -D warnings
        "${cargo[@]}" clippy --release "${flags[@]}" "${emulated[@]}" -- -D warnings
        ;;
    toolchain) ;;
    *)
        echo "$(basename "$0"): $what is none of qemu, board, lint, toolchain" >&2
        exit 2
        ;;
    esac
done
