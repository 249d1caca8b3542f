//! Writes values for COPY in text form: cells, times, and members of a JSON object.

use std::borrow::Cow;

/// The text for NULL.
pub(crate) const NULL: &[u8] = br"\N";

/// The error for a value with U+0000, which PostgreSQL cannot store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HoldsNul;

/// Append a cell. Invalid UTF-8 is replaced; U+0000 is replaced, or an error.
pub(crate) fn push_cell(
    value: &[u8],
    replace_nul: bool,
    out: &mut Vec<u8>,
) -> Result<(), HoldsNul> {
    let value = text(value);
    let bytes = value.as_bytes();
    if bytes.iter().all(|&byte| byte >= b' ' && byte != b'\\') {
        out.extend_from_slice(bytes);
        return Ok(());
    }
    for &byte in bytes {
        match byte {
            b'\\' => out.extend_from_slice(br"\\"),
            b'\t' => out.extend_from_slice(br"\t"),
            b'\n' => out.extend_from_slice(br"\n"),
            b'\r' => out.extend_from_slice(br"\r"),
            0 if replace_nul => out.extend_from_slice("\u{fffd}".as_bytes()),
            0 => return Err(HoldsNul),
            other => out.push(other),
        }
    }
    Ok(())
}

/// The text of bytes.
pub(crate) fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Append a time in a form that PostgreSQL reads with any settings. `time_us` is microseconds since 1970.
pub(crate) fn push_time(time_us: i64, out: &mut Vec<u8>) {
    const DAY_US: i64 = 86_400_000_000;
    let (year, month, day) = civil(time_us.div_euclid(DAY_US));
    let in_day = time_us.rem_euclid(DAY_US);
    let seconds = in_day / 1_000_000;
    push_padded(year, 4, out);
    out.push(b'-');
    push_padded(month, 2, out);
    out.push(b'-');
    push_padded(day, 2, out);
    out.push(b' ');
    push_padded(seconds / 3600, 2, out);
    out.push(b':');
    push_padded(seconds / 60 % 60, 2, out);
    out.push(b':');
    push_padded(seconds % 60, 2, out);
    out.push(b'.');
    push_padded(in_day % 1_000_000, 6, out);
    out.extend_from_slice(b"+00");
}

/// Year, month and day of a day since 1970 in the Gregorian calendar (Howard Hinnant's `civil_from_days`).
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

fn push_padded(mut value: i64, width: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + width, b'0');
    for digit in out.iter_mut().skip(start).rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Append a JSON string.
pub(crate) fn push_json_string(
    value: &[u8],
    replace_nul: bool,
    out: &mut Vec<u8>,
) -> Result<(), HoldsNul> {
    out.push(b'"');
    for &byte in text(value).as_bytes() {
        match byte {
            b'"' => out.extend_from_slice(br#"\""#),
            b'\\' => out.extend_from_slice(br"\\"),
            0 if replace_nul => out.extend_from_slice("\u{fffd}".as_bytes()),
            0 => return Err(HoldsNul),
            1..=0x1f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            other => out.push(other),
        }
    }
    out.push(b'"');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(value: &[u8]) -> String {
        let mut out = Vec::new();
        push_cell(value, true, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn time(time_us: i64) -> String {
        let mut out = Vec::new();
        push_time(time_us, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// What means something to COPY is escaped, and the end marker is no end.
    #[test]
    fn cells_are_escaped() {
        assert_eq!(cell(b"a\tb\nc\r\\."), r"a\tb\nc\r\\.");
        assert_eq!(cell(br"\N"), r"\\N");
        assert_eq!(cell(b"a\0b"), "a\u{fffd}b");
        assert_eq!(cell("Säure".as_bytes()), "Säure");
        assert_eq!(push_cell(b"\0", false, &mut Vec::new()), Err(HoldsNul));
    }

    /// Times before 1970, leap days and microseconds come out as the calendar has them.
    #[test]
    fn times_are_of_the_calendar() {
        assert_eq!(time(0), "1970-01-01 00:00:00.000000+00");
        assert_eq!(time(-1), "1969-12-31 23:59:59.999999+00");
        assert_eq!(
            time(951_782_400_000_000 + 123_456),
            "2000-02-29 00:00:00.123456+00"
        );
        assert_eq!(time(1_764_404_852_000_001), "2025-11-29 08:27:32.000001+00");
    }

    /// A JSON string keeps every character.
    #[test]
    fn json_strings_are_escaped() {
        let mut out = Vec::new();
        push_json_string(b"a\"\\\n", true, &mut out).unwrap();
        assert_eq!(out, br#""a\"\\\u000a""#);
    }
}
