//! Bytes of a peer as text for people.

/// The beginning of a text, at most [`MAX_EXCERPT_BYTES`](crate::MAX_EXCERPT_BYTES) of it. Characters that are invisible or could control a
/// terminal are written as escapes, and bytes that are not UTF-8 as `\xff`.
#[must_use]
pub fn quote(bytes: &[u8]) -> String {
    let beginning = bytes.get(..crate::MAX_EXCERPT_BYTES).unwrap_or(bytes);
    let mut quoted = String::with_capacity(beginning.len());
    for chunk in beginning.utf8_chunks() {
        for character in chunk.valid().chars() {
            if matches!(character, '"' | '\'' | '\\') {
                quoted.push(character);
            } else {
                quoted.extend(character.escape_debug());
            }
        }
        quoted.extend(chunk.invalid().escape_ascii().map(char::from));
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::quote;
    use proptest::prelude::*;

    #[test]
    fn a_document_stays_readable() {
        assert_eq!(
            quote("{\"name\":\"Ofen Süd\",\"path\":\"C:\\x\"}".as_bytes()),
            "{\"name\":\"Ofen Süd\",\"path\":\"C:\\x\"}"
        );
        assert_eq!(
            quote(b"a\x1b[2J\r\n\xff\x00b\xe2\x80\xae"),
            r"a\u{1b}[2J\r\n\xff\0b\u{202e}"
        );
        // Cut within a character.
        assert_eq!(
            quote("é".repeat(150).as_bytes()),
            "é".repeat(crate::MAX_EXCERPT_BYTES / 2)
        );
        assert!(quote(&[b"x".repeat(199), "é".into()].concat()).ends_with(r"x\xc3"));
    }

    proptest! {
        /// Whatever comes, a terminal gets nothing that it would obey.
        #[test]
        fn no_control_character_is_left(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(!quote(&bytes).chars().any(char::is_control));
        }
    }
}
