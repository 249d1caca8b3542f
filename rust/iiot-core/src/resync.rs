//! Where reading goes on after a damaged document.
//!
//! The stretch is searched from its start, because after a document that was cut inside a string, the parser confuses the inside and the outside of
//! strings. Reading goes on at the first of
//!
//! 1. the byte behind a raw line feed;
//! 2. an opening brace with a quote behind it (blanks between are allowed), if the byte before it, blanks left out, is not `:`, `,` or `[`: such a
//!    brace opens an object inside the damaged document, which is never a frame. The literal two characters `\n` between documents on a
//!    serial line are covered by this: their last byte is an `n`;
//! 3. such a brace exactly where the parser wanted a key, or a comma or the end of an object;
//! 4. behind the literal two characters `\n`: such a brace with a colon before it that does not end a key (has no quote before it), as in `\n[INFO ]
//!    JSON sent via VCP: {"ts":1}`.
//!
//! Only the first bytes of a skipped stretch are kept.

use memchr::memchr3;

use crate::framed::{DamageReason, MAX_EXCERPT_BYTES};
use crate::opening::opens_with;

/// The state of skipping. It is kept while inactive, because of its buffer.
#[derive(Debug)]
pub(crate) struct Skip {
    active: bool,
    reason: DamageReason,
    /// Where the damaged document starts, and where its fault is.
    offset: u64,
    at: u64,
    /// A brace at `at` starts a document.
    opens: bool,
    /// The literal two characters `\n` have been passed.
    behind_literal: bool,
    /// The last two bytes passed that were not blank, the later one last; 0 for none.
    passed: [u8; 2],
    excerpt: Vec<u8>,
}

/// The result of a search; `consumed` bytes of the input are finished.
pub(crate) enum Found {
    Resume { consumed: usize },
    Nothing { consumed: usize },
}

impl Default for Skip {
    fn default() -> Self {
        Self {
            active: false,
            reason: DamageReason::CutShort,
            offset: 0,
            at: 0,
            opens: false,
            behind_literal: false,
            passed: [0; 2],
            excerpt: Vec::new(),
        }
    }
}

impl Skip {
    pub(crate) fn is_active(&self) -> bool {
        self.active
    }

    pub(crate) fn excerpt(&self) -> &[u8] {
        &self.excerpt
    }

    /// Begin to skip a damaged document; the search must start at its first byte.
    pub(crate) fn begin(&mut self, reason: DamageReason, offset: u64, at: u64, opens: bool) {
        self.active = true;
        (self.reason, self.offset, self.at, self.opens) = (reason, offset, at, opens);
        self.behind_literal = false;
        self.passed = [0; 2];
        self.excerpt.clear();
    }

    /// Stop at the stream offset `end`. Returns the reason, where the damaged document started, and where its fault was.
    pub(crate) fn end(&mut self, end: u64) -> (DamageReason, u64, u64) {
        self.active = false;
        self.excerpt
            .truncate(usize::try_from(end - self.offset).unwrap_or(usize::MAX));
        (self.reason, self.offset, self.at)
    }

    /// Search `input[from..]`, which follows the bytes that were passed; `base` is the stream offset of `input[0]`.
    pub(crate) fn search(&mut self, input: &[u8], from: usize, base: u64, last: bool) -> Found {
        let mut at = from;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            let Some(found) = memchr3(b'\n', b'\\', b'{', rest) else {
                return self.run_dry(input, from, input.len(), last);
            };
            at += found;
            match input.get(at) {
                Some(b'\n') => return self.resume(input, from, at + 1),
                Some(b'\\') => match input.get(at + 1) {
                    Some(b'n') => self.behind_literal = true,
                    None if !last => return self.run_dry(input, from, at, last),
                    _ => {}
                },
                _ if base + at as u64 == self.offset => {}
                _ => match opens_with(input, at, b'"') {
                    Some(true) if self.may_open(input, from, at, base) => {
                        return self.resume(input, from, at);
                    }
                    None if !last => return self.run_dry(input, from, at, last),
                    _ => {}
                },
            }
            at += 1;
        }
    }

    /// Whether the brace at `at`, which looks like the start of a document, really is one, and not an object inside the damaged document.
    fn may_open(&self, input: &[u8], from: usize, at: usize, base: u64) -> bool {
        if self.opens && base + at as u64 == self.at {
            return true;
        }
        let [earlier, before] = self.passed_at(input, from, at);
        match before {
            b',' | b'[' => false,
            b':' => self.behind_literal && earlier != b'"',
            _ => true,
        }
    }

    /// The last two bytes before `at` that are not blank.
    fn passed_at(&self, input: &[u8], from: usize, at: usize) -> [u8; 2] {
        let seen = input.get(from..at).unwrap_or_default();
        let mut solid = seen
            .iter()
            .rev()
            .copied()
            .filter(|byte| !matches!(byte, b' ' | b'\t' | b'\r'));
        match (solid.next(), solid.next()) {
            (Some(last), Some(earlier)) => [earlier, last],
            (Some(last), None) => [self.passed[1], last],
            _ => self.passed,
        }
    }

    fn resume(&mut self, input: &[u8], from: usize, to: usize) -> Found {
        self.keep_excerpt(input.get(from..to).unwrap_or_default());
        Found::Resume { consumed: to }
    }

    fn run_dry(&mut self, input: &[u8], from: usize, to: usize, last: bool) -> Found {
        if last {
            return self.resume(input, from, input.len());
        }
        self.passed = self.passed_at(input, from, to);
        self.keep_excerpt(input.get(from..to).unwrap_or_default());
        Found::Nothing { consumed: to }
    }

    fn keep_excerpt(&mut self, bytes: &[u8]) {
        let room = MAX_EXCERPT_BYTES.saturating_sub(self.excerpt.len());
        self.excerpt
            .extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
    }
}
