//! Whether a brace opens a document, as far as the bytes behind it tell.

/// Blanks allowed between a document's opening brace and what follows it.
const MAX_LEADING_BLANKS: usize = 64;

/// Whether the brace at `start` begins a document; `None` if that depends on bytes to come.
#[inline]
pub(crate) fn starts_document(input: &[u8], start: usize) -> Option<bool> {
    match input.get(start + 1) {
        Some(b'"' | b'}') => Some(true),
        Some(b' ' | b'\t' | b'\r') => {
            Some(opens_with(input, start, b'"')? || opens_with(input, start, b'}')?)
        }
        Some(_) => Some(false),
        None => None,
    }
}

/// Whether `wanted` follows the brace at `start`, blanks between allowed; `None` if that depends on bytes to come.
pub(crate) fn opens_with(input: &[u8], start: usize, wanted: u8) -> Option<bool> {
    for offset in 1..=MAX_LEADING_BLANKS + 1 {
        match input.get(start + offset) {
            Some(b' ' | b'\t' | b'\r') => {}
            Some(&byte) => return Some(byte == wanted),
            None => return None,
        }
    }
    Some(false)
}
