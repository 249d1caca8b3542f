//! The settings of a node: its addresses, its interval, its key and its radio. The build creates them for the board ([`crate::choice`]); in the
//! emulation, QEMU's loader writes them to memory.
//!
//! ```text
//!  0         4    5    6         8         12        28       29      30         34       35             39
//!  "IIOT"    addr gw   interval  seed      key       has key  region  band, Hz   network  sf bw cr pre   power + 1
//! ```
//! Numbers have the low byte first. A field of zeros means the default; for fields of the radio, it is the default of the region. The bandwidth is
//! the module's code.

use core::fmt;

use iiot_proto::airtime::{Bandwidth, Modulation};
use iiot_proto::mac::Key;
use iiot_proto::region::Region;
use iiot_proto::rylr998::{OPEN_NETWORK_ID, Setup};

/// The address of the first sensor node.
pub const SENSOR_ADDRESS: u8 = 1;

/// The address of the gateway node.
pub const GATEWAY_ADDRESS: u8 = 2;

/// The interval between two readings in seconds, unless a command changes it.
pub const DEFAULT_INTERVAL_S: u16 = 10;

/// The settings in which nodes with the same firmware differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The address of a sensor node, 1 to 254.
    pub address: u8,
    /// The address of the gateway node. A sensor node sends to it, and the gateway node has it.
    pub gateway: u8,
    /// The interval between two readings, in seconds.
    pub interval_s: u16,
    /// A random seed, for a board without a source of noise.
    pub seed: u32,
    /// The key with which commands are checked. A node without a key ignores commands.
    pub key: Option<Key>,
    /// The region. The region and the settings up to `modulation` must be the same for all nodes that communicate.
    pub region: Region,
    /// The centre frequency of the channel, in hertz.
    pub band_hz: u32,
    /// The network id of the modules.
    pub network_id: u8,
    /// The modulation of the modules.
    pub modulation: Modulation,
    /// The power in dBm, which may differ from node to node.
    pub power_dbm: u8,
}

/// Why a block does not contain settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingsError {
    /// The block was never written.
    Absent,
    /// No region has this code.
    Region(u8),
    /// This modulation does not exist: spreading factor, bandwidth, coding rate, preamble.
    Modulation([u8; 4]),
}

impl Settings {
    /// The number of bytes of the block in memory.
    pub const BYTES: usize = 40;
    pub(crate) const MAGIC: [u8; 4] = *b"IIOT";

    /// The default settings of a node with this address in this region.
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

    /// Read the settings from a block in memory. Whether the radio may use them is the task of [`Setup::check`], which every node calls at its start.
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

    /// The settings of the module in the node with this address.
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

/// A channel and its network id, short enough for a line of the display: `869.525 SF7 #18`, which gives megahertz, spreading factor and id.
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

/// The fields of a block, one after the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    /// The next field. After the end of the block, a field consists of zeros.
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

/// The modulation from the values of `AT+PARAMETER`: spreading factor, code of the bandwidth, coding rate, preamble.
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

    /// A block as QEMU's loader and the build write it is read field by field.
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

    /// A field of zeros means the default; for fields of the radio, it is the default of the region.
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

    /// The default settings are allowed in their regions: the radio may send for a tenth of the time in Europe, and at any time in America.
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
