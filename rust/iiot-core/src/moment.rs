//! Absolute times as documents write them, read from their text into nanoseconds since 1970 without passing through a float.

/// How a document writes its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeFormat {
    /// Seconds since 1970; may have decimals.
    UnixSeconds,
    /// Milliseconds since 1970.
    UnixMillis,
    /// Microseconds since 1970.
    UnixMicros,
    /// Nanoseconds since 1970.
    UnixNanos,
    /// `2023-06-23T09:10:28.896Z`, in quotes.
    Rfc3339,
}

impl TimeFormat {
    /// The format of this name in a profile.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "unix_s" => Self::UnixSeconds,
            "unix_ms" => Self::UnixMillis,
            "unix_us" => Self::UnixMicros,
            "unix_ns" => Self::UnixNanos,
            "rfc3339" => Self::Rfc3339,
            _ => return None,
        })
    }

    /// All names.
    pub(crate) const NAMES: [&'static str; 5] =
        ["unix_s", "unix_ms", "unix_us", "unix_ns", "rfc3339"];

    /// Read a time; `None` if it is written otherwise or does not fit.
    pub(crate) fn read(self, text: &[u8]) -> Option<i64> {
        match self {
            Self::UnixSeconds => unix(text, 9),
            Self::UnixMillis => unix(text, 6),
            Self::UnixMicros => unix(text, 3),
            Self::UnixNanos => unix(text, 0),
            Self::Rfc3339 => rfc3339(text),
        }
    }
}

/// A decimal number times ten to the `power`; digits below a nanosecond are cut off.
fn unix(text: &[u8], power: usize) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut pieces = digits.splitn(2, |byte| *byte == b'.');
    let (whole, decimals) = (pieces.next()?, pieces.next().unwrap_or_default());
    let mut value: i64 = 0;
    for &byte in whole {
        value = value
            .checked_mul(10)?
            .checked_add(i64::from(digit(byte)?))?;
    }
    for place in 0..power {
        value = value.checked_mul(10)?.checked_add(i64::from(
            decimals.get(place).map_or(Some(0), |byte| digit(*byte))?,
        ))?;
    }
    Some(if negative { -value } else { value })
}

fn digit(byte: u8) -> Option<u8> {
    byte.is_ascii_digit().then(|| byte - b'0')
}

fn rfc3339(text: &[u8]) -> Option<i64> {
    let field = |from: usize, to: usize| -> Option<i64> {
        unix(text.get(from..to)?, 0).filter(|value| *value >= 0)
    };
    let is = |at: usize, allowed: &[u8]| text.get(at).is_some_and(|byte| allowed.contains(byte));
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let (hour, minute, second) = (field(11, 13)?, field(14, 16)?, field(17, 19)?);
    if !(1..=12).contains(&month)
        || !(1..=days_in_month(year, month)).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let rest = text.get(19..)?;
    let (nanos, zone) = match rest.strip_prefix(b".") {
        Some(behind) => {
            let length = behind
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            let (decimals, zone) = behind.split_at_checked(length)?;
            let mut nanos = 0;
            for place in 0..9 {
                nanos = nanos * 10 + i64::from(decimals.get(place).map_or(0, |byte| byte - b'0'));
            }
            (if length == 0 { return None } else { nanos }, zone)
        }
        None => (0, rest),
    };
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second
        - zone_seconds(zone)?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

fn zone_seconds(zone: &[u8]) -> Option<i64> {
    match zone {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let hours = i64::from(digit(*h1)? * 10 + digit(*h2)?);
            let minutes = i64::from(digit(*m1)? * 10 + digit(*m2)?);
            let seconds = hours * 3_600 + minutes * 60;
            (hours < 24 && minutes < 60).then_some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days of the proleptic Gregorian calendar, counted from March so that the leap day is the last of its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::TimeFormat;

    #[test]
    fn unix_times_keep_every_digit() {
        //! A fraction of a second is not rounded through a float.
        assert_eq!(
            TimeFormat::UnixSeconds.read(b"1687511428.896000001"),
            Some(1_687_511_428_896_000_001)
        );
        assert_eq!(
            TimeFormat::UnixMillis.read(b"1687511428896"),
            Some(1_687_511_428_896_000_000)
        );
        assert_eq!(TimeFormat::UnixMicros.read(b"-1"), Some(-1_000));
        assert_eq!(
            TimeFormat::UnixNanos.read(b"9223372036854775807"),
            Some(i64::MAX)
        );
    }

    #[test]
    fn times_that_do_not_fit_are_refused() {
        //! Overflow, exponents and empty texts are no times.
        assert_eq!(TimeFormat::UnixNanos.read(b"9223372036854775808"), None);
        assert_eq!(TimeFormat::UnixSeconds.read(b"1e9"), None);
        assert_eq!(TimeFormat::Rfc3339.read(b""), None);
    }

    #[test]
    fn calendar_times_are_read_with_their_zone() {
        //! RFC 3339 with decimals, zones and leap days.
        assert_eq!(TimeFormat::Rfc3339.read(b"1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(
            TimeFormat::Rfc3339.read(b"2023-06-23T09:10:28.896Z"),
            Some(1_687_511_428_896_000_000)
        );
        assert_eq!(
            TimeFormat::Rfc3339.read(b"2023-06-23T11:10:28.896+02:00"),
            Some(1_687_511_428_896_000_000)
        );
        assert_eq!(
            TimeFormat::Rfc3339.read(b"2024-02-29T00:00:00Z"),
            Some(1_709_164_800_000_000_000)
        );
        assert_eq!(TimeFormat::Rfc3339.read(b"2023-02-29T00:00:00Z"), None);
        assert_eq!(TimeFormat::Rfc3339.read(b"2023-06-23T09:10:28"), None);
    }
}
