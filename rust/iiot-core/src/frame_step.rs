//! One step of framing over bytes that the caller holds: to the next frame, or to the place where more bytes are needed.

use memchr::memchr;

use crate::framed::DamageReason;
use crate::opening::starts_document;
use crate::resync::{Found, Skip};
use crate::syntax::{Outcome, Syntax};

/// A document that comes in small pieces is read again from its start at each piece, until this many times its length has been read in
/// total; after that, only each time its length has doubled. So the work stays linear for any input.
const READ_AGAIN_FACTOR: usize = 256;
const READ_AGAIN_ALLOWANCE: usize = 64 * 1024;

/// Reads one document from the start of the bytes given; called for every candidate.
pub(crate) trait ReadDocument {
    fn read(&mut self, bytes: &[u8]) -> Outcome<usize>;
}

/// The result of a step. `consumed` counts from the start of the given bytes; the bytes after it must be given again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Frame { consumed: usize, ended: Ended },
    NeedMore { consumed: usize },
}

/// A frame by its offsets in the stream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ended {
    Document {
        offset: u64,
        end: u64,
    },
    Damaged {
        reason: DamageReason,
        offset: u64,
        at: u64,
        end: u64,
    },
}

impl Ended {
    pub(crate) fn end(&self) -> u64 {
        match *self {
            Self::Document { end, .. } | Self::Damaged { end, .. } => end,
        }
    }
}

/// What is remembered between steps.
#[derive(Debug)]
pub(crate) struct Stepper {
    max_document_bytes: usize,
    /// Set while the rest of a damaged document is thrown away.
    skip: Skip,
    /// How many bytes of the open document were read, all attempts together, and in the last one.
    work: usize,
    last_length: usize,
}

impl Stepper {
    pub(crate) fn new(max_document_bytes: usize) -> Self {
        Self {
            max_document_bytes,
            skip: Skip::default(),
            work: 0,
            last_length: 0,
        }
    }

    /// The first bytes of the damaged document that ended last.
    pub(crate) fn excerpt(&self) -> &[u8] {
        self.skip.excerpt()
    }

    /// Go on to the next frame in `input`, whose first byte has the stream offset `base`. `last` says that nothing will follow.
    #[inline]
    pub(crate) fn step<R: ReadDocument>(
        &mut self,
        input: &[u8],
        base: u64,
        last: bool,
        reader: &mut R,
    ) -> Step {
        if self.skip.is_active() {
            return self.skip_on(input, 0, base, last);
        }
        let mut from = 0;
        loop {
            let Some(rest) = input.get(from..) else {
                return Step::NeedMore {
                    consumed: input.len(),
                };
            };
            let Some(found) = memchr(b'{', rest) else {
                return Step::NeedMore {
                    consumed: input.len(),
                };
            };
            let start = from + found;
            match starts_document(input, start) {
                Some(true) => {}
                Some(false) => {
                    from = start + 1;
                    continue;
                }
                None if last => {
                    return Step::NeedMore {
                        consumed: input.len(),
                    };
                }
                None => return Step::NeedMore { consumed: start },
            }
            return self.read(input, start, base, last, reader);
        }
    }

    #[inline]
    fn read<R: ReadDocument>(
        &mut self,
        input: &[u8],
        start: usize,
        base: u64,
        last: bool,
        reader: &mut R,
    ) -> Step {
        let held = input.len() - start;
        let length = held.min(self.max_document_bytes);
        if self.work > 0 && !last && held <= self.max_document_bytes && !self.may_read_again(length)
        {
            return Step::NeedMore { consumed: start };
        }
        let document = input.get(start..start + length).unwrap_or_default();
        let offset = base + start as u64;
        match reader.read(document) {
            Ok(length) => {
                self.work = 0;
                let consumed = start + length;
                Step::Frame {
                    consumed,
                    ended: Ended::Document {
                        offset,
                        end: base + consumed as u64,
                    },
                }
            }
            Err(fault) if fault.syntax == Syntax::Incomplete && length == held && !last => {
                self.work += length;
                self.last_length = length;
                Step::NeedMore { consumed: start }
            }
            Err(fault) => {
                self.work = 0;
                let (reason, at) = match fault.syntax {
                    Syntax::Incomplete if length < held => (DamageReason::TooLong, start + length),
                    Syntax::Incomplete => (DamageReason::CutShort, input.len()),
                    syntax => (DamageReason::from(syntax), start + fault.at),
                };
                let opens = matches!(
                    fault.syntax,
                    Syntax::ExpectedKey | Syntax::ExpectedCommaOrBrace
                );
                self.skip.begin(reason, offset, base + at as u64, opens);
                self.skip_on(input, start, base, last)
            }
        }
    }

    fn may_read_again(&self, length: usize) -> bool {
        length >= 2 * self.last_length
            || self.work + length <= READ_AGAIN_FACTOR * length + READ_AGAIN_ALLOWANCE
    }

    fn skip_on(&mut self, input: &[u8], from: usize, base: u64, last: bool) -> Step {
        match self.skip.search(input, from, base, last) {
            Found::Resume { consumed } => {
                let (reason, offset, at) = self.skip.end(base + consumed as u64);
                Step::Frame {
                    consumed,
                    ended: Ended::Damaged {
                        reason,
                        offset,
                        at,
                        end: base + consumed as u64,
                    },
                }
            }
            Found::Nothing { consumed } => Step::NeedMore { consumed },
        }
    }
}
