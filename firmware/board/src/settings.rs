//! The settings of the node. They are chosen at build time; in QEMU, the loader writes them to RAM.

use logic::settings::{Settings, SettingsError};

/// The address to which QEMU's loader writes the settings, after the end of the RAM of the linker script.
#[cfg(feature = "qemu")]
const BLOCK: *const [u8; Settings::BYTES] = 0x2001_FF00 as *const _;

/// The block that the loader wrote.
#[cfg(feature = "qemu")]
fn block() -> [u8; Settings::BYTES] {
    // SAFETY: the emulated chip has RAM at this address, and no part of the program lies there.
    unsafe { BLOCK.read_volatile() }
}

/// The block that the build script wrote.
#[cfg(not(feature = "qemu"))]
fn block() -> [u8; Settings::BYTES] {
    *include_bytes!(concat!(env!("OUT_DIR"), "/settings"))
}

/// The settings of this node. Panics on invalid settings, which only QEMU's loader can write.
pub fn settings() -> Settings {
    match Settings::read(&block()) {
        Ok(settings) => settings,
        // A simulated node without settings uses the defaults.
        Err(SettingsError::Absent) => Settings::default(),
        Err(SettingsError::Region(code)) => defmt::panic!("there is no region {}", code),
        Err(SettingsError::Modulation(parameter)) => {
            defmt::panic!("there is no modulation {}", parameter)
        }
    }
}
