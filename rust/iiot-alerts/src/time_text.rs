//! Writes times for people and programs.

use jiff::Timestamp;

/// `2026-11-29T16:00:00Z`: seconds are enough for an alert.
pub(crate) fn rfc3339(time_ns: i64) -> String {
    Timestamp::from_second(time_ns.div_euclid(1_000_000_000))
        .map_or_else(|_| time_ns.to_string(), |time| time.to_string())
}

/// `12 min`, `3.5 h`.
pub(crate) fn duration(ns: i64) -> String {
    let seconds = ns as f64 / 1e9;
    let (number, unit) = match seconds {
        s if s < 120.0 => (s, "s"),
        s if s < 7_200.0 => (s / 60.0, "min"),
        s if s < 172_800.0 => (s / 3_600.0, "h"),
        s => (s / 86_400.0, "d"),
    };
    if number >= 10.0 || number.fract() < 0.05 {
        format!("{number:.0} {unit}")
    } else {
        format!("{number:.1} {unit}")
    }
}

/// A calculated number in at most four digits, or all of a whole one.
pub(crate) fn number(value: f64) -> String {
    let digits = if value == 0.0 {
        0
    } else {
        3 - value.abs().log10().floor() as i32
    };
    let text = format!("{value:.*}", digits.clamp(0, 9) as usize);
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_durations_are_short() {
        for (value, text) in [
            (1.23456, "1.235"),
            (-0.000_123_41, "-0.0001234"),
            (123_456.7, "123457"),
            (15.0, "15"),
            (0.0, "0"),
        ] {
            assert_eq!(number(value), text);
        }
        for (seconds, text) in [
            (90, "90 s"),
            (600, "10 min"),
            (5_400, "90 min"),
            (12_600, "3.5 h"),
            (864_000, "10 d"),
        ] {
            assert_eq!(duration(seconds * 1_000_000_000), text);
        }
        assert_eq!(rfc3339(1_764_432_000_500_000_000), "2025-11-29T16:00:00Z");
    }
}
