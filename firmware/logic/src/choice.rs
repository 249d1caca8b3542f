//! The options for a firmware build: environment variables, which are checked together and written as the block that [`Settings::read`] reads.
//!
//! The build script of the board runs this code on the build machine, so that no board ever starts with impossible settings.

use core::fmt::{self, Write};
use core::ops::RangeInclusive;

use iiot_proto::region::Region;
use iiot_proto::region::TX_POWER_MAX_DBM;
use iiot_proto::rylr998::SetupError;

use crate::hexadecimal;
use crate::sensor_node::MAX_INTERVAL_S;
use crate::settings::{Settings, SettingsError, modulation};

/// The address of a sensor node.
pub const ADDRESS: &str = "IIOT_NODE_ADDRESS";
/// The address of the gateway node.
pub const GATEWAY: &str = "IIOT_NODE_GATEWAY";
/// The interval between two readings, in seconds.
pub const INTERVAL_S: &str = "IIOT_NODE_INTERVAL_S";
/// The key for commands, in hexadecimal digits.
pub const KEY: &str = "IIOT_NODE_KEY";
/// The name of the region.
pub const REGION: &str = "IIOT_NODE_REGION";
/// The centre frequency of the channel, in hertz.
pub const BAND_HZ: &str = "IIOT_NODE_BAND_HZ";
/// The network id of the modules.
pub const NETWORK_ID: &str = "IIOT_NODE_NETWORK_ID";
/// The modulation, in the form of the module's `AT+PARAMETER`.
pub const PARAMETER: &str = "IIOT_NODE_PARAMETER";
/// The power in dBm.
pub const POWER_DBM: &str = "IIOT_NODE_POWER_DBM";

/// All variables.
pub const VARIABLES: [&str; 9] = [
    ADDRESS, GATEWAY, INTERVAL_S, KEY, REGION, BAND_HZ, NETWORK_ID, PARAMETER, POWER_DBM,
];

const ADDRESSES: RangeInclusive<u32> = 1..=254;

/// Why the chosen values are impossible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChoiceError<'a> {
    /// A variable has an invalid value.
    Value {
        /// The name of the variable.
        variable: &'static str,
        /// The value of the variable.
        seen: &'a str,
        /// The values that would be valid.
        expected: &'static str,
    },
    /// A variable is not a number, or is outside its range.
    Number {
        /// The name of the variable.
        variable: &'static str,
        /// The value of the variable.
        seen: &'a str,
        /// The lowest valid number.
        low: u32,
        /// The highest valid number.
        high: u32,
    },
    /// The key is not 32 hexadecimal digits. The message does not show the key.
    Key {
        /// The number of characters of the key.
        characters: usize,
    },
    /// A sensor node cannot have the gateway node's address.
    SameAddress(u8),
    /// The result is not a block of settings.
    Block(SettingsError),
    /// The chosen values for the radio contradict each other, or are not allowed in this region.
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

/// The beginning of a value that a person wrote, on one line.
struct Excerpt<'a>(&'a str);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.chars().take(40).flat_map(char::escape_debug);
        shown.try_for_each(|character| formatter.write_char(character))
    }
}

/// The block of settings with the chosen values. A variable that is not set leaves the default.
pub fn block<'a>(
    given: impl Fn(&'static str) -> Option<&'a str>,
) -> Result<[u8; Settings::BYTES], ChoiceError<'a>> {
    let given = &given;
    let key = given(KEY).map(key).transpose()?;
    let region = given(REGION).map_or(Ok(Region::Eu868), region)?;
    // The field holds the chosen power plus one, because zero stands for the default.
    let power = match given(POWER_DBM) {
        Some(_) => number(given, POWER_DBM, 0..=u32::from(TX_POWER_MAX_DBM))? as u8 + 1,
        None => 0,
    };
    let fields: [&[u8]; 11] = [
        &Settings::MAGIC,
        &[number(given, ADDRESS, ADDRESSES)? as u8],
        &[number(given, GATEWAY, ADDRESSES)? as u8],
        &(number(given, INTERVAL_S, 1..=u32::from(MAX_INTERVAL_S))? as u16).to_le_bytes(),
        // The seed stays empty, because a board has its own source of noise.
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

/// The number in a variable; 0 if the variable is not set.
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

    /// Without any variable, the settings are those of the first sensor node, or of the gateway node, in Europe.
    #[test]
    fn nothing_chosen_is_the_default() {
        assert_eq!(chosen(&[]), Ok(Settings::default()));
    }

    /// If only a region is chosen, channel, modulation and power are the defaults of this region.
    #[test]
    fn a_region_brings_its_channel_along() {
        assert_eq!(
            chosen(&[(REGION, "us915")]),
            Ok(Settings::new(1, Region::Us915))
        );
    }

    /// Each variable sets its own field.
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

    /// An invalid value is refused. The message names the variable and the valid values.
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

    /// A wrong key is refused, and the message does not show it.
    #[test]
    fn a_wrong_key_is_not_shown() {
        for seen in ["00", "g00102030405060708090a0b0c0d0e0f"] {
            let said = refused(&[(KEY, seen)]);
            assert!(said.starts_with("IIOT_NODE_KEY has ") && !said.contains(seen));
        }
    }

    /// Contradicting values are refused: equal addresses, a channel outside the region, a channel too wide for its band, a power too high for the
    /// region, a packet longer than the dwell time.
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
