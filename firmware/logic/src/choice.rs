//! What somebody who builds firmware may choose: variables of the build's environment, checked together, and laid out as [`Settings::read`] takes them.
//!
//! The board's build script runs this on the machine that builds, so that no board ever starts with settings that cannot be.

use core::fmt::{self, Write};
use core::ops::RangeInclusive;

use iiot_proto::region::Region;
use iiot_proto::region::TX_POWER_MAX_DBM;
use iiot_proto::rylr998::SetupError;

use crate::hexadecimal;
use crate::sensor_node::MAX_INTERVAL_S;
use crate::settings::{Settings, SettingsError, modulation};

/// A sensor node's address.
pub const ADDRESS: &str = "IIOT_NODE_ADDRESS";
/// The gateway node's address.
pub const GATEWAY: &str = "IIOT_NODE_GATEWAY";
/// Seconds between two readings.
pub const INTERVAL_S: &str = "IIOT_NODE_INTERVAL_S";
/// The key of commands, hexadecimal.
pub const KEY: &str = "IIOT_NODE_KEY";
/// The region's name.
pub const REGION: &str = "IIOT_NODE_REGION";
/// The channel's centre in hertz.
pub const BAND_HZ: &str = "IIOT_NODE_BAND_HZ";
/// The modules' network id.
pub const NETWORK_ID: &str = "IIOT_NODE_NETWORK_ID";
/// The modulation as the module's `AT+PARAMETER` takes it.
pub const PARAMETER: &str = "IIOT_NODE_PARAMETER";
/// The power in dBm.
pub const POWER_DBM: &str = "IIOT_NODE_POWER_DBM";

/// All of them.
pub const VARIABLES: [&str; 9] = [
    ADDRESS, GATEWAY, INTERVAL_S, KEY, REGION, BAND_HZ, NETWORK_ID, PARAMETER, POWER_DBM,
];

const ADDRESSES: RangeInclusive<u32> = 1..=254;

/// Why the choice cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChoiceError<'a> {
    /// A variable is not what it should be.
    Value {
        /// The variable.
        variable: &'static str,
        /// What it is.
        seen: &'a str,
        /// What would be right.
        expected: &'static str,
    },
    /// A variable is no number, or one outside its range.
    Number {
        /// The variable.
        variable: &'static str,
        /// What it is.
        seen: &'a str,
        /// The lowest that would be right.
        low: u32,
        /// The highest.
        high: u32,
    },
    /// The key is not 32 hexadecimal digits; it is not shown.
    Key {
        /// How long it is.
        characters: usize,
    },
    /// A sensor node cannot have the gateway node's address.
    SameAddress(u8),
    /// What was laid out is no block of settings.
    Block(SettingsError),
    /// What was chosen for the radio does not go together, or not in this region.
    Radio(SetupError),
}

impl fmt::Display for ChoiceError<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Value {
                variable,
                seen,
                expected,
            } => write!(
                formatter,
                "{variable} is '{}': expected {expected}",
                Excerpt(seen)
            ),
            Self::Number {
                variable,
                seen,
                low,
                high,
            } => write!(
                formatter,
                "{variable} is '{}': expected a whole number from {low} to {high}",
                Excerpt(seen)
            ),
            Self::Key { characters } => write!(
                formatter,
                "{KEY} has {characters} characters: expected 32 hexadecimal digits"
            ),
            Self::SameAddress(address) => write!(
                formatter,
                "{ADDRESS} and {GATEWAY} are both {address}: expected different addresses"
            ),
            Self::Block(error) => write!(formatter, "the settings cannot be laid out: {error:?}"),
            Self::Radio(error) => write!(formatter, "the radio cannot be set up so: {error}"),
        }
    }
}

/// The beginning of what somebody wrote, on one line.
struct Excerpt<'a>(&'a str);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.chars().take(40).flat_map(char::escape_debug);
        shown.try_for_each(|character| formatter.write_char(character))
    }
}

/// The block of settings for what was chosen; a variable that is not given leaves the default.
pub fn block<'a>(
    given: impl Fn(&'static str) -> Option<&'a str>,
) -> Result<[u8; Settings::BYTES], ChoiceError<'a>> {
    let given = &given;
    let key = given(KEY).map(key).transpose()?;
    let region = given(REGION).map_or(Ok(Region::Eu868), region)?;
    // One more than chosen, because zero is the default.
    let power = match given(POWER_DBM) {
        Some(_) => number(given, POWER_DBM, 0..=u32::from(TX_POWER_MAX_DBM))? as u8 + 1,
        None => 0,
    };
    let fields: [&[u8]; 11] = [
        &Settings::MAGIC,
        &[number(given, ADDRESS, ADDRESSES)? as u8],
        &[number(given, GATEWAY, ADDRESSES)? as u8],
        &(number(given, INTERVAL_S, 1..=u32::from(MAX_INTERVAL_S))? as u16).to_le_bytes(),
        // No seed: a board has noise of its own.
        &[0; 4],
        &key.unwrap_or_default(),
        &[u8::from(key.is_some()), region as u8],
        &number(given, BAND_HZ, 1..=u32::MAX)?.to_le_bytes(),
        &[number(given, NETWORK_ID, 3..=18)? as u8],
        &given(PARAMETER).map_or(Ok([0; 4]), parameter)?,
        &[power],
    ];
    let mut bytes = fields.into_iter().flatten().copied();
    let block = core::array::from_fn(|_| bytes.next().unwrap_or(0));

    let settings = Settings::read(&block).map_err(ChoiceError::Block)?;
    if settings.address == settings.gateway {
        return Err(ChoiceError::SameAddress(settings.address));
    }
    let setup = settings.radio(settings.address);
    setup.check().map_err(ChoiceError::Radio)?;
    Ok(block)
}

/// A variable's number; 0 where it is not given.
fn number<'a>(
    given: impl Fn(&'static str) -> Option<&'a str>,
    variable: &'static str,
    range: RangeInclusive<u32>,
) -> Result<u32, ChoiceError<'a>> {
    let Some(seen) = given(variable) else {
        return Ok(0);
    };
    let (low, high) = range.into_inner();
    let number = seen.parse().ok().filter(|it| (low..=high).contains(it));
    number.ok_or(ChoiceError::Number {
        variable,
        seen,
        low,
        high,
    })
}

fn region(seen: &str) -> Result<Region, ChoiceError<'_>> {
    Region::named(seen).ok_or(ChoiceError::Value {
        variable: REGION,
        seen,
        expected: "eu868 or us915",
    })
}

fn parameter(seen: &str) -> Result<[u8; 4], ChoiceError<'_>> {
    let mut fields = seen.split(',').map(|field| field.parse().ok());
    let mut next = || fields.next().flatten();
    let parameter = (next(), next(), next(), next());
    let parameter = match (parameter, fields.next()) {
        ((Some(factor), Some(bandwidth), Some(rate), Some(preamble)), None) => {
            Some([factor, bandwidth, rate, preamble])
        }
        _ => None,
    };
    parameter
        .filter(|parameter| modulation(*parameter).is_some())
        .ok_or(ChoiceError::Value {
            variable: PARAMETER,
            seen,
            expected: "what AT+PARAMETER takes: spreading factor 7 to 12, bandwidth 7 (125 kHz), 8 (250) or 9 (500), coding rate 1 to 4, \
                       preamble 4 to 24, as in 9,9,1,12",
        })
}

fn key(seen: &str) -> Result<[u8; 16], ChoiceError<'_>> {
    hexadecimal::bytes(seen.as_bytes()).ok_or(ChoiceError::Key {
        characters: seen.chars().count(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use iiot_proto::Modulation;
    use iiot_proto::airtime::Bandwidth;
    use iiot_proto::mac::Key;
    use std::string::{String, ToString};

    type Given<'a> = &'a [(&'static str, &'a str)];

    fn chosen(given: Given<'_>) -> Result<Settings, String> {
        let find = |wanted| {
            let found = given.iter().find(|(variable, _)| *variable == wanted);
            found.map(|(_, value)| *value)
        };
        let block = block(find).map_err(|error| error.to_string())?;
        Ok(Settings::read(&block).unwrap())
    }

    fn refused(given: Given<'_>) -> String {
        chosen(given).unwrap_err()
    }

    /// Who chooses nothing gets the first sensor node, or the gateway node, in Europe.
    #[test]
    fn nothing_chosen_is_the_default() {
        assert_eq!(chosen(&[]), Ok(Settings::default()));
    }

    /// A region alone brings its channel, modulation and power along.
    #[test]
    fn a_region_brings_its_channel_along() {
        assert_eq!(
            chosen(&[(REGION, "us915")]),
            Ok(Settings::new(1, Region::Us915))
        );
    }

    /// Each variable reaches its own field.
    #[test]
    fn everything_can_be_chosen() {
        let settings = chosen(&[
            (ADDRESS, "7"),
            (GATEWAY, "200"),
            (INTERVAL_S, "3600"),
            (KEY, "000102030405060708090a0B0c0D0e0f"),
            (REGION, "us915"),
            (BAND_HZ, "903900000"),
            (NETWORK_ID, "5"),
            (PARAMETER, "10,8,2,12"),
            (POWER_DBM, "0"),
        ]);
        assert_eq!(
            settings,
            Ok(Settings {
                address: 7,
                gateway: 200,
                interval_s: 3_600,
                seed: 0,
                key: Some(Key::new(core::array::from_fn(|index| index as u8))),
                region: Region::Us915,
                band_hz: 903_900_000,
                network_id: 5,
                modulation: Modulation::new(10, Bandwidth::Khz250, 2, 12).unwrap(),
                power_dbm: 0,
            })
        );
    }

    /// A value that cannot be is named with its variable and what would be right.
    #[test]
    fn a_wrong_value_is_refused_by_name() {
        for (variable, seen, expected) in [
            (REGION, "eu433", "eu868 or us915"),
            (REGION, "EU868", "eu868 or us915"),
            (ADDRESS, "255", "a whole number from 1 to 254"),
            (ADDRESS, "", "a whole number from 1 to 254"),
            (GATEWAY, "0", "a whole number from 1 to 254"),
            (INTERVAL_S, "3601", "a whole number from 1 to 3600"),
            (BAND_HZ, "915 MHz", "a whole number from 1 to 4294967295"),
            (NETWORK_ID, "2", "a whole number from 3 to 18"),
            (POWER_DBM, "23", "a whole number from 0 to 22"),
        ] {
            assert_eq!(
                refused(&[(variable, seen)]),
                std::format!("{variable} is '{seen}': expected {expected}")
            );
        }
        assert!(refused(&[(REGION, "eu868\n")]).starts_with("IIOT_NODE_REGION is 'eu868\\n': "));
        for seen in ["9,9,1", "9,9,1,12,0", "9,6,1,12", "6,9,1,12", "a,9,1,12"] {
            let said = refused(&[(PARAMETER, seen)]);
            assert!(
                said.starts_with(&std::format!("{PARAMETER} is '{seen}': expected")),
                "{said}"
            );
        }
    }

    /// A wrong key is refused without being shown.
    #[test]
    fn a_wrong_key_is_not_shown() {
        for seen in ["00", "g00102030405060708090a0b0c0d0e0f"] {
            let said = refused(&[(KEY, seen)]);
            assert!(said.starts_with("IIOT_NODE_KEY has ") && !said.contains(seen));
        }
    }

    /// What does not go together is refused: addresses, channel and region, width and band, power and region, packet and dwell.
    #[test]
    fn what_does_not_go_together_is_refused() {
        for (given, why) in [
            (&[(ADDRESS, "2")] as Given<'_>, "are both 2"),
            (&[(GATEWAY, "1")], "are both 1"),
            (&[(BAND_HZ, "915000000")], "868.0-868.6"),
            (&[(REGION, "us915"), (BAND_HZ, "869525000")], "902-928 MHz"),
            (&[(PARAMETER, "7,9,1,12")], "a channel of 500 kHz"),
            (&[(POWER_DBM, "15")], "at most 14 (eu868)"),
            (&[(NETWORK_ID, "17")], "network id 17"),
            (
                &[(NETWORK_ID, "5"), (PARAMETER, "7,7,1,8")],
                "a preamble of 8",
            ),
            (
                &[(REGION, "us915"), (PARAMETER, "12,7,1,12")],
                "spreading factor 12 at 125 kHz",
            ),
            (
                &[(REGION, "us915"), (PARAMETER, "9,7,4,24")],
                "longer than this channel ever allows",
            ),
        ] {
            let said = refused(given);
            assert!(said.contains(why) && !said.contains('\n'), "{said}");
        }
    }
}
