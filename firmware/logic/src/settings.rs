//! Who a node is: compiled in on the board, put into memory by QEMU's loader in the emulation.
//!
//! ```text
//!  0         4    5    6         8         12        28
//!  "IIOT"    addr gw   interval  seed      key       1 if there is a key
//! ```
//! Numbers low byte first.

use iiot_proto::airtime::Modulation;
use iiot_proto::duty::DEFAULT_EU868_HZ;
use iiot_proto::mac::Key;
use iiot_proto::rylr998::Setup;

/// The gateway node's address.
pub const GATEWAY_ADDRESS: u8 = 2;

/// Seconds between two readings, unless a command changes it.
pub const DEFAULT_INTERVAL_S: u16 = 10;

/// The network id of the modules.
const NETWORK_ID: u8 = 18;

/// Conformity in Europe covers 14 dBm.
const POWER_DBM: u8 = 14;

/// What differs between nodes that run the same firmware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The node's own address, 1 to 254.
    pub address: u8,
    /// The gateway node's.
    pub gateway: u8,
    /// Seconds between two readings.
    pub interval_s: u16,
    /// Noise, where the board has no other.
    pub seed: u32,
    /// What commands are checked with; a node without a key ignores them.
    pub key: Option<Key>,
}

impl Settings {
    /// Bytes of the block in memory.
    pub const BYTES: usize = 29;
    const MAGIC: &'static [u8] = b"IIOT";

    /// Of a node that nobody has told anything else.
    pub const fn new(address: u8) -> Self {
        Self {
            address,
            gateway: GATEWAY_ADDRESS,
            interval_s: DEFAULT_INTERVAL_S,
            seed: 0,
            key: None,
        }
    }

    /// Of a block in memory; `None` if nobody has written one.
    pub fn read(block: &[u8; Self::BYTES]) -> Option<Self> {
        let rest = block.strip_prefix(Self::MAGIC)?;
        let (&[address, gateway], rest) = rest.split_first_chunk()?;
        let (interval, rest) = rest.split_first_chunk()?;
        let (seed, rest) = rest.split_first_chunk()?;
        let (key, rest) = rest.split_first_chunk()?;
        Some(Self {
            address,
            gateway,
            interval_s: u16::from_le_bytes(*interval).max(1),
            seed: u32::from_le_bytes(*seed),
            key: (rest == [1]).then(|| Key::new(*key)),
        })
    }

    /// How the node's module is set up.
    pub fn radio(&self) -> Setup {
        Setup {
            address: u16::from(self.address),
            network_id: NETWORK_ID,
            band_hz: DEFAULT_EU868_HZ,
            modulation: Modulation::DEFAULT,
            power_dbm: POWER_DBM,
        }
    }
}

/// Read a key of 32 hexadecimal digits, as it is given to the build.
pub const fn key_from_hex(text: &str) -> Option<Key> {
    let digits = text.as_bytes();
    if digits.len() != 32 {
        return None;
    }
    let mut bytes = [0; 16];
    let mut at = 0;
    while at < bytes.len() {
        match (nibble(digits[2 * at]), nibble(digits[2 * at + 1])) {
            (Some(high), Some(low)) => bytes[at] = high << 4 | low,
            _ => return None,
        }
        at += 1;
    }
    Some(Key::new(bytes))
}

/// The value of a hexadecimal digit.
pub const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The block as QEMU's loader writes it.
    #[test]
    fn a_block_is_read_field_by_field() {
        let mut block = [0; Settings::BYTES];
        block[..12].copy_from_slice(b"IIOT\x03\x02\x3c\x00\x04\x03\x02\x01");
        block[12..28].copy_from_slice(b"sixteen bytes ok");
        block[28] = 1;
        assert_eq!(
            Settings::read(&block),
            Some(Settings {
                address: 3,
                gateway: 2,
                interval_s: 60,
                seed: 0x0102_0304,
                key: Some(Key::new(*b"sixteen bytes ok")),
            })
        );
        assert_eq!(Settings::read(&[0; Settings::BYTES]), None);
    }

    /// A key is 32 digits or nothing.
    #[test]
    fn a_key_is_read_from_hexadecimal_digits() {
        assert_eq!(
            key_from_hex("000102030405060708090a0B0c0D0e0f"),
            Some(Key::new(core::array::from_fn(|index| index as u8)))
        );
        assert_eq!(key_from_hex("00"), None);
        assert_eq!(key_from_hex("g00102030405060708090a0b0c0d0e0f"), None);
    }

    /// What the modules are told is allowed in Europe.
    #[test]
    fn the_radio_is_set_up_within_the_law() {
        let rule = Settings::new(1).radio().check();
        assert_eq!(rule.map(|rule| rule.per_mille), Ok(Some(100)));
    }
}
