//! Who a node is and where it sends: made by the build for the board ([`crate::choice`]), put into memory by QEMU's loader in the emulation.
//!
//! ```text
//!  0         4    5    6         8         12        28       29      30         34       35             39
//!  "IIOT"    addr gw   interval  seed      key       has key  region  band, Hz   network  sf bw cr pre   power + 1
//! ```
//! Numbers low byte first. A field of zeros is the default, of the radio's fields that of the region; bandwidth by the module's code.

use core::fmt;

use iiot_proto::airtime::{Bandwidth, Modulation};
use iiot_proto::mac::Key;
use iiot_proto::region::Region;
use iiot_proto::rylr998::{OPEN_NETWORK_ID, Setup};

/// The first sensor node's address.
pub const SENSOR_ADDRESS: u8 = 1;

/// The gateway node's address.
pub const GATEWAY_ADDRESS: u8 = 2;

/// Seconds between two readings, unless a command changes it.
pub const DEFAULT_INTERVAL_S: u16 = 10;

/// What differs between nodes that run the same firmware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A sensor node's own address, 1 to 254.
    pub address: u8,
    /// The gateway node's: whom a sensor node sends to, and the gateway node's own.
    pub gateway: u8,
    /// Seconds between two readings.
    pub interval_s: u16,
    /// Noise, where the board has no other.
    pub seed: u32,
    /// What commands are checked with; a node without a key ignores them.
    pub key: Option<Key>,
    /// Where the node sends; like all that follows the same for all nodes that shall hear each other.
    pub region: Region,
    /// Centre of the channel in hertz.
    pub band_hz: u32,
    /// The network id of the modules.
    pub network_id: u8,
    /// How the modules modulate.
    pub modulation: Modulation,
    /// Power in dBm; this may differ.
    pub power_dbm: u8,
}

/// Why a block holds no settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingsError {
    /// Nobody has written one.
    Absent,
    /// No region has this code.
    Region(u8),
    /// There is no such modulation: spreading factor, bandwidth, coding rate, preamble.
    Modulation([u8; 4]),
}

impl Settings {
    /// Bytes of the block in memory.
    pub const BYTES: usize = 40;
    pub(crate) const MAGIC: [u8; 4] = *b"IIOT";

    /// Of a node that nobody has told anything else.
    pub const fn new(address: u8, region: Region) -> Self {
        Self {
            address,
            gateway: GATEWAY_ADDRESS,
            interval_s: DEFAULT_INTERVAL_S,
            seed: 0,
            key: None,
            region,
            band_hz: region.default_band_hz(),
            network_id: OPEN_NETWORK_ID,
            modulation: region.default_modulation(),
            power_dbm: region.most_power_dbm(),
        }
    }

    /// Of a block in memory. Whether the radio may be set up so is for [`Setup::check`] to say, which every node asks at its start.
    pub fn read(block: &[u8; Self::BYTES]) -> Result<Self, SettingsError> {
        let mut fields = Fields(block);
        if fields.take() != Self::MAGIC {
            return Err(SettingsError::Absent);
        }
        let [address, gateway] = fields.take();
        let interval_s = u16::from_le_bytes(fields.take());
        let seed = u32::from_le_bytes(fields.take());
        let key = fields.take();
        let [has_key, region] = fields.take();
        let band_hz = u32::from_le_bytes(fields.take());
        let [network_id] = fields.take();
        let parameter = fields.take();
        let [power] = fields.take();

        let region = Region::of_code(region).ok_or(SettingsError::Region(region))?;
        let default = Self::new(SENSOR_ADDRESS, region);
        let modulation = match parameter {
            [0, 0, 0, 0] => default.modulation,
            _ => modulation(parameter).ok_or(SettingsError::Modulation(parameter))?,
        };
        Ok(Self {
            address: given(address).unwrap_or(default.address),
            gateway: given(gateway).unwrap_or(default.gateway),
            interval_s: given(interval_s).unwrap_or(default.interval_s),
            seed,
            key: (has_key == 1).then(|| Key::new(key)),
            region,
            band_hz: given(band_hz).unwrap_or(default.band_hz),
            network_id: given(network_id).unwrap_or(default.network_id),
            modulation,
            power_dbm: power.checked_sub(1).unwrap_or(default.power_dbm),
        })
    }

    /// How the module of the node with this address is set up.
    pub fn radio(&self, address: u8) -> Setup {
        Setup {
            address: u16::from(address),
            region: self.region,
            network_id: self.network_id,
            band_hz: self.band_hz,
            modulation: self.modulation,
            power_dbm: self.power_dbm,
        }
    }
}

impl Default for Settings {
    /// The first sensor node, in Europe.
    fn default() -> Self {
        Self::new(SENSOR_ADDRESS, Region::Eu868)
    }
}

/// A channel and its network id, short enough for a line of the display: `869.525 SF7 #18`, megahertz, factor and id.
pub struct Channel(pub Setup);

impl fmt::Display for Channel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Setup {
            band_hz,
            network_id,
            modulation,
            ..
        } = self.0;
        let (mhz, khz) = (band_hz / 1_000_000, band_hz / 1_000 % 1_000);
        let factor = modulation.spreading_factor();
        write!(formatter, "{mhz}.{khz:03} SF{factor} #{network_id}")
    }
}

/// Fields of a block, one behind the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    /// The next field; zeros behind the end of the block.
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((field, rest)) = self.0.split_first_chunk() else {
            return [0; N];
        };
        self.0 = rest;
        *field
    }
}

fn given<T: Default + PartialEq>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}

/// The modulation of `AT+PARAMETER`: spreading factor, code of the bandwidth, coding rate, preamble.
pub(crate) fn modulation(parameter: [u8; 4]) -> Option<Modulation> {
    let [spreading_factor, bandwidth, coding_rate, preamble] = parameter;
    Modulation::new(
        spreading_factor,
        Bandwidth::of_code(bandwidth)?,
        coding_rate,
        preamble,
    )
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use iiot_proto::duty::DutyRule;
    use std::string::ToString;

    /// The block as QEMU's loader and the build write it.
    #[test]
    fn a_block_is_read_field_by_field() {
        let mut block = [0; Settings::BYTES];
        block[..12].copy_from_slice(b"IIOT\x03\x04\x3c\x00\x04\x03\x02\x01");
        block[12..28].copy_from_slice(b"sixteen bytes ok");
        block[28..30].copy_from_slice(&[1, 1]);
        block[30..34].copy_from_slice(&903_900_000_u32.to_le_bytes());
        block[34..].copy_from_slice(&[7, 10, 8, 2, 12, 21]);
        assert_eq!(
            Settings::read(&block),
            Ok(Settings {
                address: 3,
                gateway: 4,
                interval_s: 60,
                seed: 0x0102_0304,
                key: Some(Key::new(*b"sixteen bytes ok")),
                region: Region::Us915,
                band_hz: 903_900_000,
                network_id: 7,
                modulation: Modulation::new(10, Bandwidth::Khz250, 2, 12).unwrap(),
                power_dbm: 20,
            })
        );
        block[29] = 2;
        assert_eq!(Settings::read(&block), Err(SettingsError::Region(2)));
        block[29..].fill(0);
        block[36] = 9;
        assert_eq!(
            Settings::read(&block),
            Err(SettingsError::Modulation([0, 9, 0, 0]))
        );
        assert_eq!(
            Settings::read(&[0; Settings::BYTES]),
            Err(SettingsError::Absent)
        );
    }

    /// What is not given is the default, of the radio that of the region.
    #[test]
    fn a_field_of_zeros_is_the_default() {
        let mut block = [0; Settings::BYTES];
        block[..4].copy_from_slice(b"IIOT");
        assert_eq!(Settings::read(&block), Ok(Settings::default()));
        block[29] = 1;
        let american = Settings::read(&block).unwrap();
        assert_eq!(american, Settings::new(1, Region::Us915));
        assert_eq!((american.band_hz, american.power_dbm), (915_000_000, 22));
    }

    /// The longest name of a channel fits a line of the display.
    #[test]
    fn a_channel_fits_the_display() {
        let mut settings = Settings::default();
        let name = |settings: &Settings| Channel(settings.radio(1)).to_string();
        assert_eq!(name(&settings), "869.525 SF7 #18");
        settings.modulation = Modulation::new(11, Bandwidth::Khz500, 1, 12).unwrap();
        settings.band_hz = 903_080_000;
        assert_eq!(name(&settings), "903.080 SF11 #18");
    }

    /// What the modules are told unless somebody chooses otherwise is allowed where they are: a tenth of the time in Europe, any time in America.
    #[test]
    fn the_defaults_are_within_the_law() {
        let rule = |region| Settings::new(1, region).radio(1).check();
        let share = |per_mille| {
            Ok(DutyRule {
                per_mille,
                max_airtime_us: None,
            })
        };
        assert_eq!(rule(Region::Eu868), share(Some(100)));
        assert_eq!(rule(Region::Us915), share(None));
    }
}
