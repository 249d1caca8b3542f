//! Names and texts inside statements: always quoted, and never longer than the server's limit.

use crate::error::{Error, Result};

/// The most bytes of a name. The server cuts longer names, so two names could become one.
pub const MAX_NAME_BYTES: usize = 63;

/// A name that the server does not change.
pub fn check(what: &str, name: &str) -> Result<()> {
    let fault = if name.is_empty() {
        "is empty"
    } else if name.len() > MAX_NAME_BYTES {
        "is longer than the 63 bytes that PostgreSQL keeps of a name; give it a shorter one in the profile"
    } else if name.contains('\0') {
        "holds U+0000, which PostgreSQL cannot store"
    } else {
        return Ok(());
    };
    let shown: String = name.chars().take(80).collect();
    Err(Error::report(format!("the {what} {shown:?} {fault}")))
}

/// Whether the server keeps a name unchanged.
pub fn is_kept(name: &str) -> bool {
    check("name", name).is_ok()
}

/// A name in quotes.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A name with its schema, both in quotes.
pub fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quoted(schema), quoted(name))
}

/// A text as a literal whose meaning does not depend on `standard_conforming_strings`.
pub fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') {
        format!(" E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// A name made of two. If both together are too long, they are cut, and a digest keeps the result unique.
pub fn joined(base: &str, rest: &str) -> String {
    let whole = format!("{base}{rest}");
    if whole.len() <= MAX_NAME_BYTES {
        return whole;
    }
    let digest = format!("_{:08x}{rest}", fnv(base.as_bytes()) as u32);
    let mut end = MAX_NAME_BYTES.saturating_sub(digest.len());
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{digest}", base.get(..end).unwrap_or_default())
}

/// FNV-1a: the same in every version and on every machine.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quotes are doubled, and backslashes mean themselves.
    #[test]
    fn quoting_keeps_every_character() {
        assert_eq!(quoted(r#"Order"; DROP"#), r#""Order""; DROP""#);
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"a\'b"), r" E'a\\''b'");
    }

    /// Long names stay within the limit and stay apart, also where the cut falls into a character.
    #[test]
    fn joined_names_fit_and_differ() {
        let long = "ä".repeat(31);
        let one = joined(&format!("{long}a"), "_20260105");
        let other = joined(&format!("{long}b"), "_20260105");
        assert!(is_kept(&one) && is_kept(&other));
        assert_ne!(one, other);
        assert_eq!(joined("short", "_x"), "short_x");
    }

    /// A name that the server would cut is refused with its remedy.
    #[test]
    fn a_name_that_would_be_cut_is_refused() {
        let error = check("measurement", &"m".repeat(64)).unwrap_err();
        assert!(error.to_string().contains("63 bytes"), "{error}");
    }
}
