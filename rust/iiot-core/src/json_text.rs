//! The tokens of JSON with a variable length: strings (escapes, UTF-8) and numbers; and the text of an escaped string.

use crate::kind::Kind;
use crate::syntax::{Outcome, Syntax, fault};

/// Read the string whose opening quote is before `at`. Returns where its closing quote is, and whether it holds escapes.
#[inline]
pub(crate) fn string_end(bytes: &[u8], mut at: usize) -> Outcome<(usize, bool)> {
    let mut escaped = false;
    loop {
        match bytes.get(at) {
            Some(b'"') => return Ok((at, escaped)),
            Some(b'\\') => {
                escaped = true;
                at = escape_end(bytes, at)?;
            }
            Some(b'\n') => return fault(Syntax::LineFeed, at),
            Some(0..=0x1f) => return fault(Syntax::ControlCharacter, at),
            Some(0x20..=0x7f) => at += 1,
            Some(_) => at = utf8_end(bytes, at)?,
            None => return fault(Syntax::Incomplete, at),
        }
    }
}

/// Read the escape whose backslash is at `at`; a surrogate pair counts as one. Returns the offset behind it.
fn escape_end(bytes: &[u8], at: usize) -> Outcome<usize> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match unit(bytes, at + 2)? {
            0xD800..=0xDBFF => {
                for (offset, wanted) in [(6, b'\\'), (7, b'u')] {
                    match bytes.get(at + offset) {
                        Some(&byte) if byte == wanted => {}
                        Some(b'\n') => return fault(Syntax::LineFeed, at + offset),
                        Some(_) => return fault(Syntax::BadEscape, at + offset),
                        None => return fault(Syntax::Incomplete, at + offset),
                    }
                }
                match unit(bytes, at + 8)? {
                    0xDC00..=0xDFFF => Ok(at + 12),
                    _ => fault(Syntax::BadEscape, at + 6),
                }
            }
            0xDC00..=0xDFFF => fault(Syntax::BadEscape, at),
            _ => Ok(at + 6),
        },
        Some(b'\n') => fault(Syntax::LineFeed, at + 1),
        Some(_) => fault(Syntax::BadEscape, at + 1),
        None => fault(Syntax::Incomplete, at + 1),
    }
}

/// The four hexadecimal digits at `at`.
fn unit(bytes: &[u8], at: usize) -> Outcome<u32> {
    let mut value = 0;
    for offset in at..at + 4 {
        let digit = match bytes.get(offset) {
            Some(&byte) => match char::from(byte).to_digit(16) {
                Some(digit) => digit,
                None if byte == b'\n' => return fault(Syntax::LineFeed, offset),
                None => return fault(Syntax::BadEscape, offset),
            },
            None => return fault(Syntax::Incomplete, offset),
        };
        value = value << 4 | digit;
    }
    Ok(value)
}

/// Read the UTF-8 character of two to four bytes at `at` (Unicode 16, table 3-7).
fn utf8_end(bytes: &[u8], at: usize) -> Outcome<usize> {
    let (second, length) = match bytes.get(at) {
        Some(0xC2..=0xDF) => (0x80..=0xBF, 2),
        Some(0xE0) => (0xA0..=0xBF, 3),
        Some(0xE1..=0xEC | 0xEE..=0xEF) => (0x80..=0xBF, 3),
        Some(0xED) => (0x80..=0x9F, 3),
        Some(0xF0) => (0x90..=0xBF, 4),
        Some(0xF1..=0xF3) => (0x80..=0xBF, 4),
        Some(0xF4) => (0x80..=0x8F, 4),
        _ => return fault(Syntax::BadUtf8, at),
    };
    for offset in 1..length {
        let allowed = if offset == 1 {
            second.clone()
        } else {
            0x80..=0xBF
        };
        match bytes.get(at + offset) {
            Some(byte) if allowed.contains(byte) => {}
            Some(b'\n') => return fault(Syntax::LineFeed, at + offset),
            Some(_) => return fault(Syntax::BadUtf8, at + offset),
            None => return fault(Syntax::Incomplete, at + offset),
        }
    }
    Ok(at + length)
}

/// Read the number at `at`. It ends at the first byte that cannot belong to it, and that byte must be there: at the end of the bytes more
/// digits may still come.
#[inline]
pub(crate) fn number_end(bytes: &[u8], at: usize) -> Outcome<(usize, Kind)> {
    match short_number_end(bytes, at) {
        Some(end) => Ok((end, Kind::Number)),
        None => any_number_end(bytes, at),
    }
}

/// The end of a number, if it fits eight bytes together with the byte behind it, has no exponent, and does not begin with a zero that more
/// digits follow; otherwise nothing. All eight bytes are examined together, because a processor cannot predict the lengths of numbers.
#[inline]
fn short_number_end(bytes: &[u8], at: usize) -> Option<usize> {
    let word = u64::from_le_bytes(*bytes.get(at..)?.first_chunk::<8>()?);
    let sign = usize::from(word as u8 == b'-');
    let word = word >> (8 * sign);
    let whole = leading_digits(word);
    if whole == 0 || (whole > 1 && word as u8 == b'0') || sign + whole >= 8 {
        return None;
    }
    let behind = word >> (8 * whole);
    let end = sign + whole;
    match behind as u8 {
        b'.' => {
            let decimals = leading_digits(behind >> 8);
            let end = end + 1 + decimals;
            if decimals == 0 || end >= 8 || (behind >> (8 * (1 + decimals))) as u8 | 0x20 == b'e' {
                return None;
            }
            Some(at + end)
        }
        b'e' | b'E' => None,
        _ => Some(at + end),
    }
}

/// How many of the eight bytes, the lowest first, are digits before the first that is not.
#[inline]
fn leading_digits(word: u64) -> usize {
    let values = word ^ 0x3030_3030_3030_3030;
    let others = (values.wrapping_add(0x7676_7676_7676_7676) | values) & 0x8080_8080_8080_8080;
    (others.trailing_zeros() / 8) as usize
}

fn any_number_end(bytes: &[u8], mut at: usize) -> Outcome<(usize, Kind)> {
    let mut kind = Kind::Number;
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    match bytes.get(at) {
        Some(b'0') => at += 1,
        Some(b'1'..=b'9') => at = digits_end(bytes, at + 1),
        other => return missing_digit(other, at),
    }
    if bytes.get(at) == Some(&b'.') {
        at = some_digits_end(bytes, at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        kind = Kind::Scientific;
        at += 1;
        if let Some(b'+' | b'-') = bytes.get(at) {
            at += 1;
        }
        at = some_digits_end(bytes, at)?;
    }
    match bytes.get(at) {
        None => fault(Syntax::Incomplete, at),
        Some(b'0'..=b'9') => fault(Syntax::BadNumber, at),
        Some(_) => Ok((at, kind)),
    }
}

#[inline]
fn digits_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b'0'..=b'9') = bytes.get(at) {
        at += 1;
    }
    at
}

#[inline]
fn some_digits_end(bytes: &[u8], at: usize) -> Outcome<usize> {
    match bytes.get(at) {
        Some(b'0'..=b'9') => Ok(digits_end(bytes, at + 1)),
        other => missing_digit(other, at),
    }
}

fn missing_digit<T>(byte: Option<&u8>, at: usize) -> Outcome<T> {
    match byte {
        None => fault(Syntax::Incomplete, at),
        Some(b'\n') => fault(Syntax::LineFeed, at),
        Some(_) => fault(Syntax::BadNumber, at),
    }
}

/// Append the text that `raw` (between the quotes of a string that was read) stands for.
pub(crate) fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (before, escape) = rest.split_at(at);
        out.extend_from_slice(before);
        let length = escape_end(escape, 0).unwrap_or(escape.len().min(2));
        let (escape, behind) = escape.split_at(length.min(escape.len()));
        let character = match escape.get(1) {
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => unescape_unicode(escape),
            Some(&byte) => char::from(byte),
            None => char::REPLACEMENT_CHARACTER,
        };
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        rest = behind;
    }
    out.extend_from_slice(rest);
}

fn unescape_unicode(escape: &[u8]) -> char {
    let first = unit(escape, 2).unwrap_or(0xFFFD);
    let code = match (first, unit(escape, 8)) {
        (0xD800..=0xDBFF, Ok(second)) => 0x10000 + ((first & 0x3FF) << 10 | second & 0x3FF),
        _ => first,
    };
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
}
