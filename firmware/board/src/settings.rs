//! Who the node is: given to the build as `IIOT_NODE_ADDRESS` and `IIOT_NODE_KEY`, in QEMU put into RAM by its loader.

use logic::settings::Settings;

/// Where QEMU's loader puts the settings: behind what the linker script calls RAM.
#[cfg(feature = "qemu")]
const BLOCK: *const [u8; Settings::BYTES] = 0x2001_FF00 as *const _;

/// The settings of this node, with `address` unless they name another.
#[cfg(feature = "qemu")]
pub fn settings(address: u8) -> Settings {
    // SAFETY: the emulated chip has RAM there, and nothing of the program lies in it.
    let block = unsafe { BLOCK.read_volatile() };
    Settings::read(&block).unwrap_or(Settings::new(address))
}

/// The settings of this node, with `address` unless they name another.
#[cfg(not(feature = "qemu"))]
pub fn settings(address: u8) -> Settings {
    const ADDRESS: Option<u8> = match option_env!("IIOT_NODE_ADDRESS") {
        Some(text) => match u8::from_str_radix(text, 10) {
            Ok(address @ 1..=254) => Some(address),
            _ => panic!("IIOT_NODE_ADDRESS is a number from 1 to 254"),
        },
        None => None,
    };
    Settings {
        key: key(),
        ..Settings::new(ADDRESS.unwrap_or(address))
    }
}

#[cfg(not(feature = "qemu"))]
fn key() -> Option<iiot_proto::mac::Key> {
    const GIVEN: Option<&str> = option_env!("IIOT_NODE_KEY");
    const {
        if let Some(text) = GIVEN {
            assert!(text.len() == 32, "IIOT_NODE_KEY has 32 hexadecimal digits");
        }
    }
    GIVEN.and_then(logic::settings::key_from_hex)
}
