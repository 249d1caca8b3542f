//! The regions of the world in which a radio may send, with their channels and the rules for them.

use core::fmt;

use crate::airtime::{Bandwidth, DEFAULT_PREAMBLE, Modulation};
use crate::duty::{DEFAULT_EU868_HZ, DEFAULT_US915_HZ, DutyRule};

/// The highest power with which the module can send, in dBm.
pub const TX_POWER_MAX_DBM: u8 = 22;

/// The highest power that the module's declaration of conformity covers in Europe, in dBm.
pub const TX_POWER_MAX_EU_DBM: u8 = 14;

/// A region. The discriminant is its code in the settings of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Region {
    /// Europe, 868.0 to 869.65 MHz: a share of every hour may be used for sending.
    Eu868 = 0,
    /// North America, 902 to 928 MHz: no limit per hour, but at most 400 ms per transmission in channels below 500 kHz.
    Us915 = 1,
}

impl Region {
    /// All regions with their names, in the order of their codes.
    pub const NAMED: [(Self, &'static str); 2] = [(Self::Eu868, "eu868"), (Self::Us915, "us915")];

    /// The region with this name.
    pub fn named(name: &str) -> Option<Self> {
        let (region, _) = Self::NAMED.into_iter().find(|(_, known)| *known == name)?;
        Some(region)
    }

    /// The region with this code.
    pub fn of_code(code: u8) -> Option<Self> {
        let (region, _) = Self::NAMED
            .into_iter()
            .find(|(region, _)| *region as u8 == code)?;
        Some(region)
    }

    /// The name of the region.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Eu868 => "eu868",
            Self::Us915 => "us915",
        }
    }

    /// The centre frequency in hertz, unless the configuration names another one.
    pub const fn default_band_hz(self) -> u32 {
        match self {
            Self::Eu868 => DEFAULT_EU868_HZ,
            Self::Us915 => DEFAULT_US915_HZ,
        }
    }

    /// The modulation, unless the configuration names another one.
    ///
    /// A radio that stays on one channel in US915 must use 500 kHz (47 CFR 15.247 (a)(2)). Factor 9 at 500 kHz has the same symbol duration as factor
    /// 7 at 125 kHz, and therefore the same times on air.
    pub const fn default_modulation(self) -> Modulation {
        match self {
            Self::Eu868 => Modulation::DEFAULT,
            Self::Us915 => match Modulation::new(9, Bandwidth::Khz500, 1, DEFAULT_PREAMBLE) {
                Ok(modulation) => modulation,
                Err(_) => Modulation::DEFAULT,
            },
        }
    }

    /// The highest power that is allowed in this region, in dBm.
    pub const fn most_power_dbm(self) -> u8 {
        match self {
            Self::Eu868 => TX_POWER_MAX_EU_DBM,
            Self::Us915 => TX_POWER_MAX_DBM,
        }
    }

    /// The rule for a channel; `None` if the channel is not entirely in a band of the region.
    pub const fn rule(self, centre_hz: u32, bandwidth_hz: u32) -> Option<DutyRule> {
        match self {
            Self::Eu868 => DutyRule::eu868(centre_hz, bandwidth_hz),
            Self::Us915 => DutyRule::us915(centre_hz, bandwidth_hz),
        }
    }

    /// The bands of the region, for the error about a channel outside them.
    pub(crate) const fn bands(self) -> &'static str {
        match self {
            Self::Eu868 => "868.0-868.6, 868.7-869.2 or 869.4-869.65 MHz",
            Self::Us915 => "902-928 MHz",
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and codes lead back to their region; unknown ones lead to none.
    #[test]
    fn names_and_codes_are_unique() {
        for (code, (region, name)) in Region::NAMED.into_iter().enumerate() {
            assert_eq!(region.name(), name);
            assert_eq!(Region::named(name), Some(region));
            assert_eq!(Region::of_code(code as u8), Some(region));
        }
        assert_eq!(Region::named("eu433"), None);
        assert_eq!(Region::of_code(2), None);
    }

    /// Factor 9 at 500 kHz is no slower than the default of Europe, and has no limit of 400 ms.
    #[test]
    fn the_default_of_us915_is_a_wide_channel() {
        let wide = Region::Us915.default_modulation();
        assert_eq!(
            (wide.spreading_factor(), wide.bandwidth().hz()),
            (9, 500_000)
        );
        assert_eq!(wide.symbol_us(), Modulation::DEFAULT.symbol_us());
        assert!(wide.airtime_us(30) <= Modulation::DEFAULT.airtime_us(30));
        let rule = Region::Us915.rule(DEFAULT_US915_HZ, wide.bandwidth().hz());
        assert_eq!(
            rule,
            Some(DutyRule {
                per_mille: None,
                max_airtime_us: None
            })
        );
    }
}
