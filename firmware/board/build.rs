//! Writes the memory layout that the linker script of cortex-m-rt asks for.

use std::path::PathBuf;
use std::{env, fs};

/// Bytes at the end of RAM where QEMU's loader puts the settings of a simulated node.
const SETTINGS_BYTES: u32 = 256;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let reserved = if env::var_os("CARGO_FEATURE_QEMU").is_some() {
        SETTINGS_BYTES
    } else {
        0
    };
    let ram_bytes = 128 * 1024 - reserved;
    fs::write(
        out.join("memory.x"),
        format!(
            "MEMORY\n{{\n  FLASH : ORIGIN = 0x08000000, LENGTH = 512K\n  RAM : ORIGIN = 0x20000000, LENGTH = {ram_bytes}\n}}\n"
        ),
    )?;
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rerun-if-changed=build.rs");
    Ok(())
}
