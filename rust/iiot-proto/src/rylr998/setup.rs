//! The commands that make a module ready, in order, with settings that are checked together.
//!
//! With its factory settings, the module sends at 915 MHz with 22 dBm, which is forbidden in Europe. Therefore band and power are always set.

use core::fmt;

use crate::airtime::{DEFAULT_PREAMBLE, Modulation};
use crate::duty::DutyRule;
use crate::packet::MAX_PACKET_BYTES;
use crate::region::Region;
use crate::rylr998::Command;

/// The network id that allows any preamble. All other network ids allow only 12.
pub const OPEN_NETWORK_ID: u8 = 18;

/// The settings of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The module's own address.
    pub address: u16,
    /// The region in which the module sends.
    pub region: Region,
    /// The network id, 3 to 15, or [`OPEN_NETWORK_ID`].
    pub network_id: u8,
    /// The centre frequency in hertz.
    pub band_hz: u32,
    /// The modulation.
    pub modulation: Modulation,
    /// The power in dBm.
    pub power_dbm: u8,
}

/// Why a setup is impossible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetupError {
    /// The module does not accept this network id.
    NetworkId(u8),
    /// Only network id 18 allows a preamble other than 12.
    Preamble(u8),
    /// The channel, with half its bandwidth on either side, is not entirely in a band of the region.
    Band {
        /// The region.
        region: Region,
        /// The centre frequency in hertz.
        band_hz: u32,
        /// The bandwidth in hertz.
        bandwidth_hz: u32,
    },
    /// The power is higher than the region allows.
    Power {
        /// The region.
        region: Region,
        /// The power in dBm.
        power_dbm: u8,
    },
    /// The module demodulates only factors up to 9 at 125 kHz, 10 at 250 kHz, and 11 at 500 kHz.
    SpreadingFactor {
        /// The spreading factor.
        spreading_factor: u8,
        /// The bandwidth in hertz.
        bandwidth_hz: u32,
    },
    /// The channel never allows a frame as long as the longest packet, so this packet would wait for ever.
    Airtime {
        /// The time on air of the longest packet, in microseconds.
        airtime_us: u32,
    },
}

impl fmt::Display for SetupError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NetworkId(id) => write!(formatter, "network id {id}: expected 3 to 15, or 18"),
            Self::Preamble(symbols) => write!(
                formatter,
                "a preamble of {symbols} symbols: expected 12, or network id 18, which takes others"
            ),
            Self::Band {
                region,
                band_hz,
                bandwidth_hz,
            } => write!(
                formatter,
                "a channel of {} kHz at {band_hz} Hz: expected all of it within {} ({region})",
                bandwidth_hz / 1_000,
                region.bands()
            ),
            Self::Power { region, power_dbm } => write!(
                formatter,
                "a power of {power_dbm} dBm: expected at most {} ({region})",
                region.most_power_dbm()
            ),
            Self::SpreadingFactor {
                spreading_factor,
                bandwidth_hz,
            } => write!(
                formatter,
                "spreading factor {spreading_factor} at {} kHz: expected at most 9 at 125 kHz, 10 at 250 kHz, 11 at 500 kHz",
                bandwidth_hz / 1_000
            ),
            Self::Airtime { airtime_us } => write!(
                formatter,
                "the longest packet is on air for {} ms, longer than this channel ever allows: expected a lower spreading factor or coding rate, a \
                 shorter preamble or a wider channel",
                airtime_us.div_ceil(1_000)
            ),
        }
    }
}

impl Setup {
    /// Check all settings, and return the rule that limits how much this radio may send.
    pub fn check(&self) -> Result<DutyRule, SetupError> {
        if !matches!(self.network_id, 3..=15 | OPEN_NETWORK_ID) {
            return Err(SetupError::NetworkId(self.network_id));
        }
        let preamble = self.modulation.preamble();
        if preamble != DEFAULT_PREAMBLE && self.network_id != OPEN_NETWORK_ID {
            return Err(SetupError::Preamble(preamble));
        }
        let (region, band_hz) = (self.region, self.band_hz);
        let bandwidth_hz = self.modulation.bandwidth().hz();
        // Bandwidth codes 7, 8 and 9 allow factors up to 9, 10 and 11.
        let spreading_factor = self.modulation.spreading_factor();
        if spreading_factor > (self.modulation.bandwidth() as u8).saturating_add(2) {
            return Err(SetupError::SpreadingFactor {
                spreading_factor,
                bandwidth_hz,
            });
        }
        let rule = region.rule(band_hz, bandwidth_hz).ok_or(SetupError::Band {
            region,
            band_hz,
            bandwidth_hz,
        })?;
        if self.power_dbm > region.most_power_dbm() {
            return Err(SetupError::Power {
                region,
                power_dbm: self.power_dbm,
            });
        }
        let airtime_us = self.modulation.airtime_us(MAX_PACKET_BYTES);
        if !rule.ever_allows(airtime_us) {
            return Err(SetupError::Airtime { airtime_us });
        }
        Ok(rule)
    }

    /// The commands, in order. Each is sent after the module has answered the one before with `+OK`.
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
    use crate::duty::{Allowance, DEFAULT_EU868_HZ, DEFAULT_US915_HZ, Duty};
    use std::string::ToString;

    const EU: Setup = Setup {
        address: 1,
        region: Region::Eu868,
        network_id: 5,
        band_hz: DEFAULT_EU868_HZ,
        modulation: Modulation::DEFAULT,
        power_dbm: 14,
    };

    const US: Setup = Setup {
        region: Region::Us915,
        band_hz: DEFAULT_US915_HZ,
        power_dbm: 22,
        ..EU
    };

    fn modulation(spreading_factor: u8, bandwidth: Bandwidth) -> Modulation {
        Modulation::new(spreading_factor, bandwidth, 1, 12).unwrap()
    }

    fn refused(setup: Setup) -> SetupError {
        setup.check().unwrap_err()
    }

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
            refused(Setup {
                power_dbm: 15,
                ..EU
            }),
            SetupError::Power {
                region: Region::Eu868,
                power_dbm: 15
            }
        );
    }

    /// Settings are checked together, because one setting may forbid what another one allows.
    #[test]
    fn settings_are_checked_together() {
        let short = Setup {
            modulation: Modulation::new(7, Bandwidth::Khz125, 1, 7).unwrap(),
            ..EU
        };
        assert_eq!(refused(short), SetupError::Preamble(7));
        let open = Setup {
            network_id: 18,
            ..short
        };
        assert!(open.check().is_ok());
        let network_id = 16;
        assert_eq!(
            refused(Setup { network_id, ..EU }),
            SetupError::NetworkId(16)
        );
        for (bandwidth, most) in [
            (Bandwidth::Khz125, 9),
            (Bandwidth::Khz250, 10),
            (Bandwidth::Khz500, 11),
        ] {
            let with = |factor| Setup {
                modulation: modulation(factor, bandwidth),
                ..US
            };
            assert!(with(most).check().is_ok());
            assert!(matches!(
                refused(with(most + 1)),
                SetupError::SpreadingFactor { .. }
            ));
        }
    }

    /// A channel that is not entirely in a band of its own region is refused, even if it is in a band of the other region.
    #[test]
    fn a_channel_outside_the_region_is_refused() {
        let between = Setup {
            band_hz: 868_650_000,
            ..EU
        };
        let wide = Setup {
            modulation: modulation(7, Bandwidth::Khz500),
            ..EU
        };
        let american = Setup {
            band_hz: DEFAULT_US915_HZ,
            ..EU
        };
        let european = Setup {
            band_hz: DEFAULT_EU868_HZ,
            ..US
        };
        for setup in [between, wide, american, european] {
            assert!(
                matches!(refused(setup), SetupError::Band { .. }),
                "{setup:?}"
            );
        }
        assert_eq!(
            refused(wide).to_string(),
            "a channel of 500 kHz at 869525000 Hz: expected all of it within 868.0-868.6, 868.7-869.2 or 869.4-869.65 MHz (eu868)"
        );
    }

    /// Factor 9 at 125 kHz with the strongest coding rate and the longest preamble occupies the channel for more than 400 ms, which US915 never allows.
    #[test]
    fn a_packet_longer_than_the_dwell_is_refused_before_anything_is_sent() {
        let slow = Modulation::new(9, Bandwidth::Khz125, 4, 24).unwrap();
        let open = Setup {
            modulation: slow,
            network_id: 18,
            ..US
        };
        let airtime_us = slow.airtime_us(MAX_PACKET_BYTES);
        assert_eq!(refused(open), SetupError::Airtime { airtime_us });
        let european = Setup {
            region: Region::Eu868,
            band_hz: DEFAULT_EU868_HZ,
            power_dbm: 14,
            ..open
        };
        assert!(european.check().is_ok(), "Europe knows no dwell");
    }

    /// With every accepted setup, the longest packet can be sent as soon as the bucket is full.
    #[test]
    fn no_packet_of_an_allowed_setup_waits_for_ever() {
        let mut allowed = 0;
        for (region, _) in Region::NAMED {
            for factor in 7..=12 {
                for bandwidth in [Bandwidth::Khz125, Bandwidth::Khz250, Bandwidth::Khz500] {
                    for (rate, preamble) in [(1, 4), (1, 12), (4, 12), (4, 24)] {
                        for band_hz in [868_300_000, 868_900_000, 869_525_000, 915_000_000] {
                            let modulation =
                                Modulation::new(factor, bandwidth, rate, preamble).unwrap();
                            let setup = Setup {
                                address: 1,
                                region,
                                network_id: 18,
                                band_hz,
                                modulation,
                                power_dbm: 14,
                            };
                            let Ok(rule) = setup.check() else { continue };
                            allowed += 1;
                            let airtime_us = modulation.airtime_us(MAX_PACKET_BYTES);
                            assert_eq!(
                                Duty::full(rule, 0).take(0, airtime_us),
                                Allowance::Granted,
                                "{setup:?}"
                            );
                        }
                    }
                }
            }
        }
        assert!(allowed > 50, "{allowed}");
    }

    /// Band and power are always set, so that the module never uses its factory settings.
    #[test]
    fn band_and_power_are_always_set() {
        let commands = EU.commands();
        assert!(
            commands.contains(&Command::Band(DEFAULT_EU868_HZ))
                && commands.contains(&Command::Power(14))
        );
    }
}
