//! Turns numbers of other programs into JSON numbers: `+1`, `.5`, `1.` and `007` become `1`, `0.5`, `1` and `7`; all others keep their text.

/// An integer that fits 64 bits.
pub(crate) fn integer_text(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").or(text.strip_prefix(b"+"));
    let digits = digits.unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A number that is finite as a 64-bit float.
pub(crate) fn json_number(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() + 1);
    let unsigned = match text.split_first()? {
        (b'-', rest) => {
            out.push(b'-');
            rest
        }
        (b'+', rest) => rest,
        _ => text,
    };
    let whole = leading_digits(unsigned);
    let (whole, rest) = unsigned.split_at_checked(whole)?;
    let (decimals, rest) = match rest.strip_prefix(b".") {
        Some(rest) => rest.split_at_checked(leading_digits(rest))?,
        None => (&[][..], rest),
    };
    if whole.is_empty() && decimals.is_empty() {
        return None;
    }
    let zeros = whole.iter().take_while(|byte| **byte == b'0').count();
    let whole = whole.get(zeros..).unwrap_or_default();
    out.extend_from_slice(if whole.is_empty() { b"0" } else { whole });
    if !decimals.is_empty() {
        out.push(b'.');
        out.extend_from_slice(decimals);
    }
    if let Some((b'e' | b'E', exponent)) = rest.split_first() {
        let digits = match exponent.split_first()? {
            (b'-' | b'+', digits) => digits,
            _ => exponent,
        };
        if digits.is_empty() || leading_digits(digits) != digits.len() {
            return None;
        }
        out.extend_from_slice(rest);
    } else if !rest.is_empty() {
        return None;
    }
    let number: f64 = std::str::from_utf8(&out).ok()?.parse().ok()?;
    number.is_finite().then_some(out)
}

fn leading_digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

#[cfg(test)]
mod tests {
    use super::{integer_text, json_number};

    #[test]
    fn numbers_keep_their_text_where_json_has_it() {
        for (text, number) in [
            ("54.10", "54.10"),
            ("-0", "-0"),
            ("1e5", "1e5"),
            ("1.5E-3", "1.5E-3"),
            ("+1", "1"),
            (".5", "0.5"),
            ("-.5", "-0.5"),
            ("1.", "1"),
            ("007.0", "7.0"),
            ("1.e2", "1e2"),
        ] {
            let found = json_number(text.as_bytes()).unwrap();
            assert_eq!(std::str::from_utf8(&found), Ok(number));
        }
        for text in [
            "", "-", ".", "1e", "1e+", "NaN", "inf", "1e400", "0x1", "1,5", "--1", "1 ", "e5",
        ] {
            assert_eq!(json_number(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn integers_fit_64_bits() {
        assert_eq!(integer_text(b"+007"), Some(7));
        assert_eq!(integer_text(b"-9223372036854775808"), Some(i64::MIN));
        for text in ["9223372036854775808", "", "-", "1.0", "1e3", " 1"] {
            assert_eq!(integer_text(text.as_bytes()), None, "{text}");
        }
    }
}
