//! The texts that MQTT allows (MQTT 3.1.1 and 5, section 1.5): topics, filters, client ids, user names, wills.
//!
//! A peer may close the connection over any other text, and then again over the same packet, for ever. So every text is checked here before
//! MQTT gets it: forbidden characters from documents are replaced, and forbidden texts from people are refused. Payloads and passwords are
//! bytes, not text.

use std::borrow::Cow;
use std::fmt;

/// The longest text: its length is a number of two bytes.
pub const MAX_TEXT_BYTES: usize = 65_535;

/// The longest prefix of topics, and the longest text of a topic template. Joined they fit, and so does the text that the gateway puts behind
/// a prefix.
pub const MAX_PART_BYTES: usize = 32_000;

/// Why MQTT does not allow a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFault {
    /// It holds this control character or non-character.
    Character(char),
    /// It is longer than so many bytes.
    TooLong(usize),
}

impl fmt::Display for TextFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Character(character) => {
                let kind = if character.is_control() {
                    "a control character"
                } else {
                    "no character of Unicode"
                };
                write!(
                    f,
                    "holds U+{:04X}, {kind}, which MQTT does not allow",
                    u32::from(character)
                )
            }
            Self::TooLong(bytes) => write!(f, "is longer than {bytes} bytes"),
        }
    }
}

/// Why MQTT does not allow this text; `None` if it does.
pub fn text_fault(text: &str) -> Option<TextFault> {
    text_fault_within(text, MAX_TEXT_BYTES)
}

/// The same, for a text of at most `max_bytes`.
pub fn text_fault_within(text: &str, max_bytes: usize) -> Option<TextFault> {
    if text.len() > max_bytes {
        return Some(TextFault::TooLong(max_bytes));
    }
    if is_plain(text.as_bytes()) {
        return None;
    }
    text.chars()
        .find(|character| !is_allowed(*character))
        .map(TextFault::Character)
}

/// The text with `_` for every character that MQTT does not allow. The caller must check its length.
pub fn replaced(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_allowed) {
        return Cow::Borrowed(text);
    }
    let replaced = text.chars().map(|c| if is_allowed(c) { c } else { '_' });
    Cow::Owned(replaced.collect())
}

/// Turn the bytes from `start` on into text within one level of a topic. `_` replaces every character that MQTT does not allow, or that would
/// add a level or a wildcard.
pub(crate) fn make_level(out: &mut Vec<u8>, start: usize) {
    let special = |byte: &u8| matches!(byte, b'+' | b'#' | b'/');
    let level = out.get(start..).unwrap_or_default();
    if is_plain(level) && !level.iter().any(special) {
        return;
    }
    let raw = out.split_off(start);
    for chunk in raw.utf8_chunks() {
        for character in chunk.valid().chars() {
            let kept = is_allowed(character) && !matches!(character, '+' | '#' | '/');
            let character = if kept { character } else { '_' };
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        // Documents are UTF-8, so they never contain this.
        if !chunk.invalid().is_empty() {
            out.push(b'_');
        }
    }
}

/// Whether the text is printable ASCII only, as nearly every text is: then all of it is allowed.
fn is_plain(text: &[u8]) -> bool {
    text.iter().all(|byte| matches!(byte, 0x20..=0x7e))
}

/// Surrogates are missing here, because no `char` is one.
fn is_allowed(character: char) -> bool {
    let code = u32::from(character);
    !(character.is_control() || matches!(code, 0xFDD0..=0xFDEF) || code & 0xFFFE == 0xFFFE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_mqtt_lets_a_receiver_close_the_connection_for_is_a_fault() {
        let faulty = [
            '\0',
            '\u{1}',
            '\n',
            '\u{1f}',
            '\u{7f}',
            '\u{80}',
            '\u{85}',
            '\u{9f}',
            '\u{fdd0}',
            '\u{fdef}',
            '\u{fffe}',
            '\u{ffff}',
            '\u{1fffe}',
            '\u{10ffff}',
        ];
        for character in faulty {
            assert_eq!(
                text_fault(&format!("Süd{character}/")),
                Some(TextFault::Character(character))
            );
            assert_eq!(replaced(&format!("ä{character}b")), "ä_b");
        }
        let allowed = [
            ' ',
            '~',
            '\u{a0}',
            'ß',
            '\u{fdcf}',
            '\u{fdf0}',
            '\u{feff}',
            '\u{fffd}',
            '\u{10000}',
            '😀',
        ];
        for character in allowed {
            assert_eq!(text_fault(&format!("a{character}")), None);
        }
    }

    #[test]
    fn a_text_has_at_most_65535_bytes() {
        assert_eq!(text_fault(&"x".repeat(65_535)), None);
        assert_eq!(
            text_fault(&"ü".repeat(32_768)),
            Some(TextFault::TooLong(65_535))
        );
        assert_eq!(
            TextFault::TooLong(65_535).to_string(),
            "is longer than 65535 bytes"
        );
    }

    #[test]
    fn a_level_stays_one_level() {
        let mut topic = b"iiot/".to_vec();
        let start = topic.len();
        topic.extend_from_slice("a/b+#\u{85}\n\u{fffe}Süd\u{0}".as_bytes());

        make_level(&mut topic, start);

        assert_eq!(String::from_utf8(topic).unwrap(), "iiot/a_b_____Süd_");
    }

    proptest! {
        /// Whatever bytes there are, a level of a topic comes out, and one that was good is not touched.
        #[test]
        fn every_level_is_text(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut level = bytes.clone();
            make_level(&mut level, 0);
            let text = String::from_utf8(level).unwrap();
            prop_assert_eq!(text_fault(&text), None);
            prop_assert!(!text.contains(['/', '+', '#']));
            let mut again = text.clone().into_bytes();
            make_level(&mut again, 0);
            prop_assert_eq!(again, text.into_bytes());
        }
    }
}
