//! The commands that make a module ready, in order, checked as a whole.
//!
//! Out of the box the module sends at 915 MHz with 22 dBm, which is forbidden in Europe: band and power are therefore always set.

use crate::airtime::{DEFAULT_PREAMBLE, Modulation};
use crate::duty::DutyRule;
use crate::rylr998::Command;

/// The network id that takes any preamble; all others take 12 only.
pub const OPEN_NETWORK_ID: u8 = 18;

/// The most that the module sends with.
pub const TX_POWER_MAX_DBM: u8 = 22;

/// The most that the conformity of the module covers in Europe.
pub const TX_POWER_MAX_EU_DBM: u8 = 14;

/// How a module is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The module's own address.
    pub address: u16,
    /// 3 to 15, or [`OPEN_NETWORK_ID`].
    pub network_id: u8,
    /// Centre frequency in hertz.
    pub band_hz: u32,
    /// How it modulates.
    pub modulation: Modulation,
    /// Power in dBm.
    pub power_dbm: u8,
}

/// Why a setup cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetupError {
    /// The module does not take this network id.
    NetworkId(u8),
    /// Only network 18 takes another preamble than 12.
    Preamble(u8),
    /// The channel lies in no sub-band of EU868, and not in US915.
    Band(u32),
    /// More than is allowed in this band.
    Power(u8),
    /// The module demodulates factors up to 9 at 125 kHz, 10 at 250 kHz, 11 at 500 kHz.
    SpreadingFactor(u8),
}

impl Setup {
    /// The rule that holds for the duty of this radio; also checks all the rest.
    pub fn check(&self) -> Result<DutyRule, SetupError> {
        if !matches!(self.network_id, 3..=15 | OPEN_NETWORK_ID) {
            return Err(SetupError::NetworkId(self.network_id));
        }
        let preamble = self.modulation.preamble();
        if preamble != DEFAULT_PREAMBLE && self.network_id != OPEN_NETWORK_ID {
            return Err(SetupError::Preamble(preamble));
        }
        // Bandwidth codes 7, 8, 9 allow factors up to 9, 10, 11.
        let factor = self.modulation.spreading_factor();
        if factor > (self.modulation.bandwidth() as u8).saturating_add(2) {
            return Err(SetupError::SpreadingFactor(factor));
        }
        let bandwidth_hz = self.modulation.bandwidth().hz();
        let (rule, most_dbm) = match DutyRule::eu868(self.band_hz, bandwidth_hz) {
            Some(rule) => (rule, TX_POWER_MAX_EU_DBM),
            None => (
                DutyRule::us915(self.band_hz, bandwidth_hz)
                    .ok_or(SetupError::Band(self.band_hz))?,
                TX_POWER_MAX_DBM,
            ),
        };
        if self.power_dbm > most_dbm {
            return Err(SetupError::Power(self.power_dbm));
        }
        Ok(rule)
    }

    /// The commands, each to be sent once the one before was answered with `+OK`.
    pub const fn commands(&self) -> [Command<'static>; 5] {
        [
            Command::Address(self.address),
            Command::NetworkId(self.network_id),
            Command::Band(self.band_hz),
            Command::Parameter(self.modulation),
            Command::Power(self.power_dbm),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::airtime::Bandwidth;
    use crate::duty::{DEFAULT_EU868_HZ, DEFAULT_US915_HZ};

    const EU: Setup = Setup {
        address: 1,
        network_id: 5,
        band_hz: DEFAULT_EU868_HZ,
        modulation: Modulation::DEFAULT,
        power_dbm: 14,
    };

    /// The default channel may be used a tenth of the time, with 14 dBm.
    #[test]
    fn the_default_of_europe_is_allowed() {
        assert_eq!(
            EU.check(),
            Ok(DutyRule {
                per_mille: Some(100),
                max_airtime_us: None
            })
        );
        assert_eq!(
            Setup {
                power_dbm: 15,
                ..EU
            }
            .check(),
            Err(SetupError::Power(15))
        );
    }

    /// What one setting allows, another may forbid.
    #[test]
    fn settings_are_checked_together() {
        let preamble_7 = Modulation::new(7, Bandwidth::Khz125, 1, 7).unwrap();
        assert_eq!(
            Setup {
                modulation: preamble_7,
                ..EU
            }
            .check(),
            Err(SetupError::Preamble(7))
        );
        assert!(
            Setup {
                modulation: preamble_7,
                network_id: 18,
                ..EU
            }
            .check()
            .is_ok()
        );
        let slow = Modulation::new(10, Bandwidth::Khz125, 1, 12).unwrap();
        assert_eq!(
            Setup {
                modulation: slow,
                ..EU
            }
            .check(),
            Err(SetupError::SpreadingFactor(10))
        );
        assert_eq!(
            Setup {
                network_id: 16,
                ..EU
            }
            .check(),
            Err(SetupError::NetworkId(16))
        );
        assert_eq!(
            Setup {
                band_hz: 868_650_000,
                ..EU
            }
            .check(),
            Err(SetupError::Band(868_650_000))
        );
        assert!(
            Setup {
                band_hz: DEFAULT_US915_HZ,
                power_dbm: 22,
                ..EU
            }
            .check()
            .is_ok()
        );
    }

    /// Band and power are never left to what the module came with.
    #[test]
    fn band_and_power_are_always_set() {
        let commands = EU.commands();
        assert!(
            commands.contains(&Command::Band(DEFAULT_EU868_HZ))
                && commands.contains(&Command::Power(14))
        );
    }
}
