//! Who the node is: chosen when it was built, in QEMU put into RAM by its loader.

use logic::settings::{Settings, SettingsError};

/// Where QEMU's loader puts the settings: behind what the linker script calls RAM.
#[cfg(feature = "qemu")]
const BLOCK: *const [u8; Settings::BYTES] = 0x2001_FF00 as *const _;

/// What the loader has put there.
#[cfg(feature = "qemu")]
fn block() -> [u8; Settings::BYTES] {
    // SAFETY: the emulated chip has RAM there, and nothing of the program lies in it.
    unsafe { BLOCK.read_volatile() }
}

/// What the build script has laid out.
#[cfg(not(feature = "qemu"))]
fn block() -> [u8; Settings::BYTES] {
    *include_bytes!(concat!(env!("OUT_DIR"), "/settings"))
}

/// The settings of this node. Panics on settings that cannot be, which only a loader can bring.
pub fn settings() -> Settings {
    match Settings::read(&block()) {
        Ok(settings) => settings,
        // A simulated node that nobody has told anything.
        Err(SettingsError::Absent) => Settings::default(),
        Err(SettingsError::Region(code)) => defmt::panic!("there is no region {}", code),
        Err(SettingsError::Modulation(parameter)) => {
            defmt::panic!("there is no modulation {}", parameter)
        }
    }
}
