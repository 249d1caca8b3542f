//! Where in the world a radio sends: which channels there are, and what holds in them.

use core::fmt;

use crate::airtime::{Bandwidth, DEFAULT_PREAMBLE, Modulation};
use crate::duty::{DEFAULT_EU868_HZ, DEFAULT_US915_HZ, DutyRule};

/// The most that the module sends with.
pub const TX_POWER_MAX_DBM: u8 = 22;

/// The most that the conformity of the module covers in Europe.
pub const TX_POWER_MAX_EU_DBM: u8 = 14;

/// A region; the discriminant is its code in the settings of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Region {
    /// Europe, 868.0 to 869.65 MHz: a share of every hour.
    Eu868 = 0,
    /// North America, 902 to 928 MHz: no share of an hour, but 400 ms a transmission in channels below 500 kHz.
    Us915 = 1,
}

impl Region {
    /// All of them with their names, in the order of their codes.
    pub const NAMED: [(Self, &'static str); 2] = [(Self::Eu868, "eu868"), (Self::Us915, "us915")];

    /// The region of this name.
    pub fn named(name: &str) -> Option<Self> {
        let (region, _) = Self::NAMED.into_iter().find(|(_, known)| *known == name)?;
        Some(region)
    }

    /// The region of this code.
    pub fn of_code(code: u8) -> Option<Self> {
        let (region, _) = Self::NAMED
            .into_iter()
            .find(|(region, _)| *region as u8 == code)?;
        Some(region)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Eu868 => "eu868",
            Self::Us915 => "us915",
        }
    }

    /// The centre in hertz that is used unless another is named.
    pub const fn default_band_hz(self) -> u32 {
        match self {
            Self::Eu868 => DEFAULT_EU868_HZ,
            Self::Us915 => DEFAULT_US915_HZ,
        }
    }

    /// The modulation that is used unless another is named.
    ///
    /// On one channel for good US915 wants 500 kHz (47 CFR 15.247 (a)(2)); factor 9 there has the symbols, and so the times, of factor 7 at 125 kHz.
    pub const fn default_modulation(self) -> Modulation {
        match self {
            Self::Eu868 => Modulation::DEFAULT,
            Self::Us915 => match Modulation::new(9, Bandwidth::Khz500, 1, DEFAULT_PREAMBLE) {
                Ok(modulation) => modulation,
                Err(_) => Modulation::DEFAULT,
            },
        }
    }

    /// The most that the module may send with here, in dBm.
    pub const fn most_power_dbm(self) -> u8 {
        match self {
            Self::Eu868 => TX_POWER_MAX_EU_DBM,
            Self::Us915 => TX_POWER_MAX_DBM,
        }
    }

    /// The rule for a channel; `None` where the region does not hold all of it.
    pub const fn rule(self, centre_hz: u32, bandwidth_hz: u32) -> Option<DutyRule> {
        match self {
            Self::Eu868 => DutyRule::eu868(centre_hz, bandwidth_hz),
            Self::Us915 => DutyRule::us915(centre_hz, bandwidth_hz),
        }
    }

    /// Its channels, for whoever named one outside.
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

    /// Names and codes lead back to their region; strangers to none.
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

    /// Factor 9 at 500 kHz is no slower than the default of Europe, and not bound to 400 ms.
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
