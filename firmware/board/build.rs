//! Writes the memory layout that the linker script of cortex-m-rt needs, and the settings that were chosen for this build.

use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use logic::choice;

/// The number of bytes at the end of RAM to which QEMU's loader writes the settings of a simulated node.
const SETTINGS_BYTES: u32 = 256;

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    memory(&out)?;
    settings(&out)?;
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rerun-if-changed=build.rs");
    Ok(())
}

fn memory(out: &Path) -> Result<(), Box<dyn Error>> {
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
    Ok(())
}

fn settings(out: &Path) -> Result<(), Box<dyn Error>> {
    let mut given = HashMap::new();
    for variable in choice::VARIABLES {
        println!("cargo:rerun-if-env-changed={variable}");
        if let Some(value) = env::var_os(variable) {
            given.insert(variable, value.to_string_lossy().into_owned());
        }
    }
    match choice::block(|variable| given.get(variable).map(String::as_str)) {
        Ok(block) => fs::write(out.join("settings"), block)?,
        // This prints the error as one line. A panic of the build script would print more.
        Err(error) => println!("cargo::error={error}"),
    }
    Ok(())
}
