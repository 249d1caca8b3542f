//! Numbers for calculations, read from their text without passing through a float.

use crate::found::Value;

/// A decimal number times ten to the `power`, and whether the result is exact. `None` if the text is not a number, or does not fit.
pub(crate) fn scaled(text: &[u8], power: i32) -> Option<(i64, bool)> {
    let (negative, rest) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let exponent_at = rest.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (decimal, exponent) = match exponent_at {
        Some(at) => (rest.get(..at)?, exponent(rest.get(at + 1..)?)?),
        None => (rest, 0),
    };
    let mut pieces = decimal.splitn(2, |byte| *byte == b'.');
    let (whole, fraction) = (pieces.next()?, pieces.next());
    if whole.is_empty() || fraction.is_some_and(<[u8]>::is_empty) {
        return None;
    }
    let fraction = fraction.unwrap_or_default();
    // Digits before this place count; digits behind it are cut off.
    let places = i64::try_from(whole.len()).ok()? + i64::from(power) + exponent;
    let (mut value, mut is_exact) = (0_i64, true);
    for (place, &byte) in (0_i64..).zip(whole.iter().chain(fraction)) {
        let digit = i64::from(byte.wrapping_sub(b'0'));
        if !(0..=9).contains(&digit) {
            return None;
        }
        if place < places {
            // Counted as a negative number, so that the smallest integer fits.
            value = value.checked_mul(10)?.checked_sub(digit)?;
        } else {
            is_exact &= digit == 0;
        }
    }
    let given = i64::try_from(whole.len() + fraction.len()).ok()?;
    if value != 0 {
        for _ in given..places {
            value = value.checked_mul(10)?;
        }
    }
    let value = if negative {
        value
    } else {
        value.checked_neg()?
    };
    Some((value, is_exact))
}

fn exponent(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text.split_first()? {
        (b'-', digits) => (-1, digits),
        (b'+', digits) => (1, digits),
        _ => (1, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0_i64;
    for &byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        // Far beyond the exponent of any number here, although the text may have any length.
        value = (value * 10 + i64::from(byte - b'0')).min(1_000_000);
    }
    Some(sign * value)
}

/// A number without a fraction that fits 64 bits: `45000`, `45000.0` and `4.5e4` are one.
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    scaled(text, 0)
        .filter(|(_, is_exact)| *is_exact)
        .map(|(value, _)| value)
}

/// A count: a whole number that is not negative and fits 64 bits.
#[inline]
pub(crate) fn whole_number(document: &[u8], value: Value) -> Option<u64> {
    let length = value.end.wrapping_sub(value.start);
    if (1..=8).contains(&length)
        && let Some(before) = document.get(..value.end as usize)
        && let Some(block) = before.last_chunk::<8>()
    {
        // The bytes before it become zeros.
        let keep = u64::MAX << (8 * (8 - length));
        let zeros = u64::from_le_bytes(*b"00000000");
        return eight_digit_number(u64::from_le_bytes(*block) & keep | zeros & !keep);
    }
    let mut number: u64 = 0;
    for byte in value.text(document) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(number)
}

/// The number that eight digits stand for, if all are digits. Pairs, quarters and halves are combined in parallel, in the lanes of one
/// word.
fn eight_digit_number(bytes: u64) -> Option<u64> {
    let digits = bytes ^ 0x3030_3030_3030_3030;
    // Above 9 in a lane: the sum reaches the lane's high half.
    if (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let quarters = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((quarters * 10_000 + (quarters >> 32)) & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::{Value, integer, scaled, whole_number};
    use crate::kind::Kind;

    /// Read a text at the end of a document that begins with some bytes of another.
    fn read(before: &[u8], text: &[u8]) -> Option<u64> {
        let document = [before, text].concat();
        let value = Value {
            kind: Kind::Number,
            start: before.len() as u32,
            end: document.len() as u32,
        };
        whole_number(&document, value)
    }

    /// As the standard library reads it, for every length, and for every byte in every place.
    #[test]
    fn whole_numbers_are_read() {
        let mut number: u64 = 1;
        while let Some(next) = number.checked_mul(7) {
            for value in [number, number - 1, number + 1] {
                assert_eq!(read(b"{\"ts\":", value.to_string().as_bytes()), Some(value));
                assert_eq!(read(b"", value.to_string().as_bytes()), Some(value));
            }
            number = next;
        }
        assert_eq!(read(b"", b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(read(b"", b"18446744073709551616"), None);
        for length in 1..=9 {
            for place in 0..length {
                for byte in 0..=u8::MAX {
                    let mut text = vec![b'1'; length];
                    text[place] = byte;
                    let right = std::str::from_utf8(&text)
                        .ok()
                        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
                        .and_then(|text| text.parse().ok());
                    assert_eq!(read(b"99999999", &text), right, "{text:?}");
                    assert_eq!(read(b"", &text), right, "{text:?}");
                }
            }
        }
    }

    /// Whatever its form, a number without a fraction is an integer; any other is none.
    #[test]
    fn integers_are_told_by_their_value() {
        for (text, value) in [
            ("45000", 45_000),
            ("45000.0", 45_000),
            ("4.5e4", 45_000),
            ("4500000e-2", 45_000),
            ("-0", 0),
            ("0e999999999999", 0),
            ("-9223372036854775808", i64::MIN),
            ("9223372036854775807.000", i64::MAX),
        ] {
            assert_eq!(integer(text.as_bytes()), Some(value), "{text}");
        }
        for text in [
            "45000.5",
            "1e-1",
            "9223372036854775808",
            "1e19",
            "1e999999999999",
            "",
            "-",
            "1.",
            ".5",
            "1e",
            "1e+",
            "0x1",
            "1_0",
        ] {
            assert_eq!(integer(text.as_bytes()), None, "{text}");
        }
    }

    /// What lies behind the last place is cut off, and told.
    #[test]
    fn scaled_numbers_are_cut_off() {
        assert_eq!(scaled(b"1.25", 1), Some((12, false)));
        assert_eq!(scaled(b"-1.25", 2), Some((-125, true)));
        assert_eq!(
            scaled(b"1687511428.896", 9),
            Some((1_687_511_428_896_000_000, true))
        );
        assert_eq!(
            scaled(b"1.6875e9", 9),
            Some((1_687_500_000_000_000_000, true))
        );
        assert_eq!(scaled(b"0.004", -1), Some((0, false)));
    }
}
