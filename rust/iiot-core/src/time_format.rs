//! The formats of times: read from their text into nanoseconds since 1970 without passing through a float.

use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;

use crate::calendar::rfc3339;
use crate::json_text::{number_end, unescape};
use crate::kind::Kind;
use crate::moment::Moment;
use crate::number::{integer, scaled};
use crate::strptime::{checked_zone, named_zone, written};

/// How a document writes its time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TimeFormat {
    /// A number since 1970, in units of ten to the minus so many seconds; seconds and others may have decimals.
    Unix(i32),
    /// `2023-06-23T09:10:28.896Z`, in quotes.
    Rfc3339,
    /// A number since 1970 whose size tells its unit, or RFC 3339. Numbers may be written in quotes.
    Auto,
    /// `2023-06-23 11:10:28.896`, in quotes: the time that a clock in the zone shows. Without an offset, a local time that occurs twice means the first
    /// occurrence.
    Local(TimeZone),
    /// In the format of `strptime`, such as `%d.%m.%Y %H:%M`; in a zone, unless one of the conversions is an offset.
    Written(String, Option<TimeZone>),
    /// Whole milliseconds since the device started.
    Uptime,
    /// Unix seconds from some devices, an uptime from others, or from the same device before it knows the time.
    UnixOrUptime,
}

/// Below this a number since 1970 is in seconds, below a thousand times that in milliseconds, and so on: seconds until the year 5138, milliseconds from
/// 1973 on.
const LEAST_MILLIS: i64 = 100_000_000_000;

impl TimeFormat {
    /// The format of this name in a profile; the error is a message for whoever wrote the profile.
    pub(crate) fn named(name: &str, zone: Option<&str>) -> Result<Self, String> {
        let format = match name {
            "unix_s" => Self::Unix(9),
            "unix_ms" => Self::Unix(6),
            "unix_us" => Self::Unix(3),
            "unix_ns" => Self::Unix(0),
            "rfc3339" => Self::Rfc3339,
            "auto" => Self::Auto,
            "uptime_ms" => Self::Uptime,
            "unix_s_or_uptime_ms" => Self::UnixOrUptime,
            _ if name.contains('%') => {
                let zone = checked_zone(name, zone)?;
                return Ok(Self::Written(name.to_owned(), zone));
            }
            _ => {
                let zone = zone.ok_or(
                    "format: `local` needs `zone`, the zone whose clock the document shows, such as \"Europe/Vienna\"",
                )?;
                return named_zone(zone).map(Self::Local);
            }
        };
        match zone {
            Some(_) => Err(format!(
                "zone: only the format `local` has one, not `{name}`"
            )),
            None => Ok(format),
        }
    }

    /// All names.
    pub(crate) const NAMES: [&'static str; 9] = [
        "unix_s",
        "unix_ms",
        "unix_us",
        "unix_ns",
        "rfc3339",
        "auto",
        "local",
        "uptime_ms",
        "unix_s_or_uptime_ms",
    ];

    /// Read a time; `None` if it has another format or does not fit.
    pub(crate) fn read(&self, kind: Kind, text: &[u8]) -> Option<Moment> {
        let at = match (self, kind) {
            (Self::Unix(power), Kind::Number | Kind::Scientific | Kind::String) => {
                scaled(text, *power).map(|(time, _)| time)
            }
            (Self::Rfc3339, Kind::String) => rfc3339(text),
            (Self::Auto, Kind::Number | Kind::Scientific) => unix(text),
            (Self::Auto, Kind::String) => rfc3339(text).or_else(|| unix(text)),
            (Self::Local(zone), Kind::String) => local(text, zone),
            (Self::Written(pattern, zone), Kind::String | Kind::Number) => {
                written(text, pattern, zone.as_ref())
            }
            (Self::Uptime, Kind::Number | Kind::Scientific | Kind::String) => {
                return whole(text).map(Moment::Uptime);
            }
            (Self::UnixOrUptime, Kind::Number | Kind::Scientific | Kind::String) => {
                if let Some(number) = whole(text).filter(|number| u32::try_from(*number).is_ok()) {
                    return Some(Moment::Either(number));
                }
                scaled(text, 9).map(|(time, _)| time)
            }
            _ => None,
        };
        at.map(Moment::At)
    }
}

/// Read a JSON value as the format `auto` does: a number since 1970 whose size tells its unit, one in quotes, or RFC 3339. Nanoseconds since 1970; `None` if it is no time.
pub fn read_auto(value: &[u8]) -> Option<i64> {
    let value = value.trim_ascii();
    let inner = value
        .strip_prefix(b"\"")
        .and_then(|v| v.strip_suffix(b"\""));
    let moment = if let Some(inner) = inner {
        let mut text = Vec::new();
        unescape(inner, &mut text);
        TimeFormat::Auto.read(Kind::String, &text)
    } else {
        let (end, kind) = number_end(&[value, b" "].concat(), 0).ok()?;
        if end != value.len() {
            return None;
        }
        TimeFormat::Auto.read(kind, value)
    };
    match moment? {
        Moment::At(time_ns) => Some(time_ns),
        Moment::Uptime(_) | Moment::Either(_) => None,
    }
}

/// A whole number that is not negative.
fn whole(text: &[u8]) -> Option<u64> {
    u64::try_from(integer(text)?).ok()
}

/// A number since 1970 whose size tells its unit.
fn unix(text: &[u8]) -> Option<i64> {
    let (whole, _) = scaled(text, 0)?;
    let (mut power, mut least) = (9, LEAST_MILLIS);
    while power > 0 && whole.unsigned_abs() >= least.unsigned_abs() {
        power -= 3;
        least = least.saturating_mul(1000);
    }
    scaled(text, power).map(|(time, _)| time)
}

/// A date with the time that a clock in the zone shows. An offset must be that of the zone at this time.
fn local(text: &[u8], zone: &TimeZone) -> Option<i64> {
    let pieces = Pieces::parse(text).ok()?;
    if pieces.time_zone_annotation().is_some() {
        return None;
    }
    let time = pieces.date().to_datetime(pieces.time()?);
    let instant = match pieces.to_numeric_offset() {
        Some(offset) => {
            let instant = offset.to_timestamp(time).ok()?;
            (zone.to_offset(instant) == offset).then_some(instant)?
        }
        None => zone.to_timestamp(time).ok()?,
    };
    i64::try_from(instant.as_nanosecond()).ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_json_value_is_read_as_auto_does() {
        let noon = 1_764_417_600_000_000_000;
        for text in [
            "1764417600",
            " 1764417600000 ",
            "1.7644176e9",
            "\"1764417600\"",
            "\"2025-11-29T12:00:00Z\"",
            "\"2025-11-29T13:00:00+01:00\"",
            r#""2025\u002d11-29T12:00:00Z""#,
        ] {
            assert_eq!(super::read_auto(text.as_bytes()), Some(noon), "{text}");
        }
        let none = [
            "",
            "null",
            "true",
            "\"yesterday\"",
            "17644176x",
            "{}",
            "\"",
            "-",
            "1e400",
        ];
        for text in none {
            assert_eq!(super::read_auto(text.as_bytes()), None, "{text}");
        }
    }

    use super::{Kind, Moment, TimeFormat};

    fn number(format: &str, text: &str) -> Option<i64> {
        TimeFormat::named(format, None)
            .unwrap()
            .read(Kind::Number, text.as_bytes())?
            .at(None)
    }

    fn text(format: &str, zone: Option<&str>, text: &str) -> Option<i64> {
        TimeFormat::named(format, zone)
            .unwrap()
            .read(Kind::String, text.as_bytes())?
            .at(None)
    }

    #[test]
    fn what_may_be_an_uptime_is_left_open() {
        //! Whole numbers up to 2^32 are; a fraction, or a larger number, is a date.
        let read = |format: &str, text: &str| {
            let format = TimeFormat::named(format, None).unwrap();
            format.read(Kind::Number, text.as_bytes())
        };
        let either = |text: &str| read("unix_s_or_uptime_ms", text);
        assert_eq!(either("1780272000"), Some(Moment::Either(1_780_272_000)));
        assert_eq!(either("4294967295"), Some(Moment::Either(4_294_967_295)));
        assert_eq!(
            either("1780272000.5"),
            Some(Moment::At(1_780_272_000_500_000_000))
        );
        assert_eq!(
            either("4294967296"),
            Some(Moment::At(4_294_967_296_000_000_000))
        );
        assert_eq!(either("-1"), Some(Moment::At(-1_000_000_000)));
        assert_eq!(read("uptime_ms", "5000"), Some(Moment::Uptime(5_000)));
        assert_eq!(read("uptime_ms", "-1"), None);
        assert_eq!(Moment::Either(7).at(None), Some(7_000_000_000));
        assert_eq!(Moment::Either(7).at(Some(1)), Some(7_000_001));
        assert_eq!(Moment::Uptime(7).at(None), None);
        assert_eq!(Moment::Uptime(u64::MAX).at(Some(1)), None);
    }

    #[test]
    fn unix_times_keep_every_digit() {
        //! A fraction of a second is not rounded through a float.
        assert_eq!(
            number("unix_s", "1687511428.896000001"),
            Some(1_687_511_428_896_000_001)
        );
        assert_eq!(
            number("unix_ms", "1687511428896"),
            Some(1_687_511_428_896_000_000)
        );
        assert_eq!(number("unix_us", "-1"), Some(-1_000));
        assert_eq!(number("unix_ns", "9223372036854775807"), Some(i64::MAX));
    }

    #[test]
    fn times_that_do_not_fit_are_refused() {
        //! Overflow, another kind of value and empty texts are no times.
        assert_eq!(number("unix_ns", "9223372036854775808"), None);
        assert_eq!(text("unix_s", None, ""), None);
        assert_eq!(text("unix_s", None, "1 "), None);
        assert_eq!(number("rfc3339", "1"), None);
        assert_eq!(text("rfc3339", None, ""), None);
        assert_eq!(text("auto", None, ""), None);
    }

    #[test]
    fn calendar_times_are_read_with_their_zone() {
        //! RFC 3339 with decimals, zones and leap days.
        let rfc3339 = |time: &str| text("rfc3339", None, time);
        assert_eq!(rfc3339("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(
            rfc3339("2023-06-23T09:10:28.896Z"),
            Some(1_687_511_428_896_000_000)
        );
        assert_eq!(
            rfc3339("2023-06-23T11:10:28.896+02:00"),
            Some(1_687_511_428_896_000_000)
        );
        assert_eq!(
            rfc3339("2024-02-29T00:00:00Z"),
            Some(1_709_164_800_000_000_000)
        );
        assert_eq!(rfc3339("2023-02-29T00:00:00Z"), None);
        assert_eq!(rfc3339("2023-06-23T09:10:28"), None);
    }

    #[test]
    fn the_size_of_a_number_tells_its_unit() {
        //! One moment in four units, with a fraction, with an exponent, in quotes, and as text.
        let moment = Some(1_687_511_428_896_000_000);
        for written in [
            "1687511428.896",
            "1687511428896",
            "1687511428896000",
            "1687511428896000000",
        ] {
            assert_eq!(number("auto", written), moment, "{written}");
            assert_eq!(text("auto", None, written), moment, "{written}");
        }
        let auto = TimeFormat::named("auto", None).unwrap();
        let scientific = auto.read(Kind::Scientific, b"1.687511428896e12");
        assert_eq!(scientific, moment.map(Moment::At));
        assert_eq!(text("auto", None, "2023-06-23T09:10:28.896Z"), moment);
        assert_eq!(number("auto", "0"), Some(0));
    }

    #[test]
    fn a_local_clock_is_read_in_its_zone() {
        //! Winter and summer, the hour that occurs twice, and the one that does not occur.
        let vienna = |time: &str| text("local", Some("Europe/Vienna"), time);
        let utc = |time: &str| text("rfc3339", None, time);
        for (shown, meant) in [
            ("2023-06-23 11:10:28.896", "2023-06-23T09:10:28.896Z"),
            ("2023-01-23T10:10:28", "2023-01-23T09:10:28Z"),
            ("2023-10-29 02:30:00", "2023-10-29T00:30:00Z"),
            ("2023-03-26 02:30:00", "2023-03-26T01:30:00Z"),
        ] {
            assert_eq!(vienna(shown), utc(meant), "{shown}");
        }
        for text in ["noon", "2023-06-23", "2023-06-23T11:10:28[Europe/Vienna]"] {
            assert_eq!(vienna(text), None, "{text}");
        }
        assert!(TimeFormat::named("local", None).is_err());
        assert!(TimeFormat::named("local", Some("Vienna")).is_err());
        assert!(TimeFormat::named("auto", Some("UTC")).is_err());
    }

    #[test]
    fn a_number_in_quotes_is_one() {
        //! Many devices put quotes around everything.
        assert_eq!(text("unix_s", None, "1.5"), Some(1_500_000_000));
        assert_eq!(text("unix_ms", None, "-1"), Some(-1_000_000));
    }
}
