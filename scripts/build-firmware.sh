#!/usr/bin/env bash
# Build the firmware of both nodes: build-firmware.sh [board|qemu]..., by default both. The results:
#   firmware/target/thumbv7em-none-eabihf/release/nodeN-firmware   for the NUCLEO-F446RE
#   firmware/target/qemu/nodeN-firmware                            for the emulation
# IIOT_NODE_ADDRESS and IIOT_NODE_KEY (32 hexadecimal digits) are compiled into the former.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../firmware"
target=thumbv7em-none-eabihf
if [ $# -eq 0 ]; then set -- qemu board; fi

has_target() { command -v rustup >/dev/null 2>&1 && rustup target list --installed 2>/dev/null | grep -qx "$target"; }
# Debian's compiler of the package rustc-web, with the sources of `core` beside it.
has_debian() {
    [ -x /usr/bin/cargo ] && [ -x /usr/bin/rustc ] && [ -x /usr/bin/lld-19 ] &&
        [ -d "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library/core" ]
}

cargo=(cargo build --release --locked --target "$target")
if has_target; then
    :
elif has_debian; then
    # This compiler takes `-Zbuild-std` only so; it stays out of the configuration, so that a toolchain with the target builds the ordinary way.
    export RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc CARGO_TARGET_THUMBV7EM_NONE_EABIHF_LINKER=/usr/bin/lld-19
    cargo=(/usr/bin/cargo build -Zbuild-std=core --release --locked --target "$target")
else
    echo "$(basename "$0"): there is no compiler for $target: rustup target add $target, or apt install rustc-web cargo-web rust-web-src lld-19" >&2
    exit 1
fi

# The last one's results stay where cargo puts them; QEMU's are put aside.
for board in qemu board; do
    case " $* " in *" $board "*) ;; *) continue ;; esac
    if [ "$board" = qemu ]; then
        "${cargo[@]}" --quiet --features node1-firmware/qemu,node2-firmware/qemu
        mkdir -p target/qemu
        cp "target/$target/release/node1-firmware" "target/$target/release/node2-firmware" target/qemu/
    else
        "${cargo[@]}" --quiet
    fi
done
for argument in "$@"; do
    case $argument in board | qemu) ;; *) echo "$(basename "$0"): $argument is neither board nor qemu" >&2; exit 2 ;; esac
done
