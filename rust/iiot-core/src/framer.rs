//! Finds JSON documents in any stream of bytes: probe-rs logs, newline-delimited JSON, documents back to back on a serial line.
//!
//! A document starts at `{` followed by `"` or `}` (blanks in between are allowed); other braces in log text are not documents. The JSON parser
//! finds its end. Frames, offsets included, do not depend on how the stream was cut into chunks. Memory is bounded by `max_document_bytes` and the
//! size of a chunk.
//!
//! There are two ways to pass bytes in: `push`, and then `next` until it gives nothing (one copy of the chunk); or `feed`, which shows every frame
//! to a closure and copies only the rest of a chunk. Both may be mixed. The variants `*_with` scan by a profile in the same pass.

use crate::decoded::Decoded;
use crate::frame_step::{Ended, ReadDocument, Step, Stepper};
use crate::framed::Framed;
use crate::json::{Blind, read_document};
use crate::profile::Profile;
use crate::scan::{Scan, ScanFault};
use crate::shapes::{Seen, Shapes, collect};
use crate::syntax::Outcome;

/// When a document began in an earlier chunk, this many bytes of the next chunk are added to it before it is read again; the number doubles each
/// time.
const FIRST_PIECE: usize = 1024;

/// The framer of one stream.
#[derive(Debug)]
pub struct Framer {
    stepper: Stepper,
    plain: Plain,
    /// Bytes that were pushed and are not consumed.
    buffer: Vec<u8>,
    /// Stream offset of the first byte of `buffer`.
    base: u64,
    /// How much of `buffer` is consumed.
    at: usize,
    settled: u64,
}

/// Reads documents without looking at their values.
#[derive(Debug, Default)]
struct Plain {
    shapes: Shapes,
}

impl ReadDocument for Plain {
    fn read(&mut self, bytes: &[u8]) -> Outcome<usize> {
        if let Some(end) = self.shapes.read(bytes) {
            return Ok(end);
        }
        let end = read_document(bytes, &mut Blind)?;
        if self.shapes.is_learning()
            && let Some(document) = bytes.get(..end)
            && let Some(tokens) = collect(document, Blind)?
        {
            self.shapes.learn(document, &tokens, Seen::NOTHING, &[]);
        }
        Ok(end)
    }
}

struct Scanning<'a> {
    profile: &'a Profile,
    scan: &'a mut Scan,
    fault: Option<ScanFault>,
}

impl ReadDocument for Scanning<'_> {
    fn read(&mut self, bytes: &[u8]) -> Outcome<usize> {
        let end = self.profile.read(bytes, self.scan)?;
        // No more than the document: a sequence without an object of its own is identified by the fingerprint of the whole document.
        let document = bytes.get(..end).unwrap_or_default();
        self.fault = self.profile.conclude(document, self.scan).err();
        Ok(end)
    }
}

/// A closure that is shown every frame, with the values that a profile found in its document. The fault says why the document gives no points. In
/// a damaged frame nothing is found.
pub trait Visit: FnMut(Framed<'_>, Decoded<'_>, Option<ScanFault>) {}

impl<F: FnMut(Framed<'_>, Decoded<'_>, Option<ScanFault>)> Visit for F {}

/// The document of a frame.
pub(crate) fn text<'a>(framed: &Framed<'a>) -> &'a [u8] {
    match *framed {
        Framed::Document { bytes, .. } => bytes,
        Framed::Damaged { .. } => &[],
    }
}

impl Framer {
    /// A framer at offset 0 of its stream. A document longer than `max_document_bytes` is damaged.
    pub fn new(max_document_bytes: usize) -> Self {
        // Offsets within a document have 32 bits.
        let stepper = Stepper::new(max_document_bytes.min(u32::MAX as usize));
        Self {
            stepper,
            plain: Plain::default(),
            buffer: Vec::new(),
            base: 0,
            at: 0,
            settled: 0,
        }
    }

    /// Take in a chunk. Call [`Framer::next`] until it gives nothing before the next one.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.drain(..self.at);
        self.base += self.at as u64;
        self.at = 0;
        self.buffer.extend_from_slice(chunk);
    }

    /// The next frame of what was pushed.
    #[expect(
        clippy::should_implement_trait,
        reason = "it lends from the framer, which an iterator cannot"
    )]
    pub fn next(&mut self) -> Option<Framed<'_>> {
        let mut plain = std::mem::take(&mut self.plain);
        let ended = self.step_buffer(&mut plain);
        self.plain = plain;
        let ended = ended?;
        Some(show(ended, &self.buffer, self.base, self.stepper.excerpt()))
    }

    /// The next frame; a document was scanned by `profile` on the way, as [`Visit`] tells.
    pub fn next_with<'a>(
        &'a mut self,
        profile: &'a Profile,
        scan: &'a mut Scan,
    ) -> Option<(Framed<'a>, Decoded<'a>, Option<ScanFault>)> {
        let mut reader = Scanning {
            profile,
            scan,
            fault: None,
        };
        let ended = self.step_buffer(&mut reader)?;
        let framed = show(ended, &self.buffer, self.base, self.stepper.excerpt());
        let Scanning { scan, fault, .. } = reader;
        Some((framed, profile.decoded(text(&framed), scan), fault))
    }

    /// Take in a chunk and show every frame that it completes. Copies only the bytes of a frame that a later chunk must complete.
    pub fn feed(&mut self, chunk: &[u8], mut visit: impl FnMut(Framed<'_>)) {
        let mut plain = std::mem::take(&mut self.plain);
        self.feed_reader(chunk, &mut plain, |_, framed| visit(framed));
        self.plain = plain;
    }

    /// [`Framer::feed`], scanning by `profile` in the same pass: the fastest way from bytes to points.
    pub fn feed_with(
        &mut self,
        chunk: &[u8],
        profile: &Profile,
        scan: &mut Scan,
        mut visit: impl Visit,
    ) {
        let mut reader = Scanning {
            profile,
            scan,
            fault: None,
        };
        self.feed_reader(chunk, &mut reader, |reader, framed| {
            let decoded = profile.decoded(text(&framed), reader.scan);
            visit(framed, decoded, reader.fault.take());
        });
    }

    /// The end of the stream: a document that is still open is damaged. Call until it gives nothing.
    pub fn finish(&mut self) -> Option<Framed<'_>> {
        self.restart()
    }

    /// The stream broke: a document that is still open is damaged, and framing begins anew; offsets go on. Call until it gives nothing.
    pub fn restart(&mut self) -> Option<Framed<'_>> {
        let tail = self.buffer.get(self.at..).unwrap_or_default();
        let step = self
            .stepper
            .step(tail, self.base + self.at as u64, true, &mut self.plain);
        let ended = self.stepped(step)?;
        Some(show(ended, &self.buffer, self.base, self.stepper.excerpt()))
    }

    /// Stream offset of the first byte behind the last frame. A new framer that starts there gives the same further frames.
    pub fn settled(&self) -> u64 {
        self.settled
    }

    /// How many bytes are held for a document that is not complete: never more than `max_document_bytes` plus the last chunk.
    pub fn held_bytes(&self) -> usize {
        self.buffer.len().saturating_sub(self.at)
    }

    fn step_buffer<R: ReadDocument>(&mut self, reader: &mut R) -> Option<Ended> {
        let tail = self.buffer.get(self.at..).unwrap_or_default();
        let step = self
            .stepper
            .step(tail, self.base + self.at as u64, false, reader);
        self.stepped(step)
    }

    /// Move behind what a step over the buffer consumed.
    fn stepped(&mut self, step: Step) -> Option<Ended> {
        match step {
            Step::Frame { consumed, ended } => {
                self.at += consumed;
                self.settled = ended.end();
                Some(ended)
            }
            Step::NeedMore { consumed } => {
                self.at += consumed;
                None
            }
        }
    }

    fn feed_reader<R: ReadDocument>(
        &mut self,
        chunk: &[u8],
        reader: &mut R,
        mut visit: impl FnMut(&mut R, Framed<'_>),
    ) {
        self.push(&[]);
        let chunk_base = self.base + self.buffer.len() as u64;
        let mut taken = 0;
        let mut piece = FIRST_PIECE;
        while self.at < self.buffer.len() {
            let until = chunk.len().min(taken + piece);
            self.buffer
                .extend_from_slice(chunk.get(taken..until).unwrap_or_default());
            taken = until;
            piece *= 2;
            while self.base + (self.at as u64) < chunk_base
                && let Some(ended) = self.step_buffer(reader)
            {
                visit(
                    reader,
                    show(ended, &self.buffer, self.base, self.stepper.excerpt()),
                );
            }
            if self.base + self.at as u64 >= chunk_base {
                break;
            }
            if taken == chunk.len() {
                return;
            }
        }

        let mut at = (self.base + self.at as u64).saturating_sub(chunk_base) as usize;
        self.buffer.clear();
        self.at = 0;
        while let Some(rest) = chunk.get(at..) {
            match self
                .stepper
                .step(rest, chunk_base + at as u64, false, reader)
            {
                Step::Frame { consumed, ended } => {
                    at += consumed;
                    self.settled = ended.end();
                    visit(
                        reader,
                        show(ended, chunk, chunk_base, self.stepper.excerpt()),
                    );
                }
                Step::NeedMore { consumed } => {
                    at += consumed;
                    self.buffer
                        .extend_from_slice(chunk.get(at..).unwrap_or_default());
                    break;
                }
            }
        }
        self.base = chunk_base + at as u64;
    }
}

fn show<'a>(ended: Ended, bytes: &'a [u8], base: u64, excerpt: &'a [u8]) -> Framed<'a> {
    match ended {
        Ended::Document { offset, end } => {
            let bytes = bytes
                .get((offset - base) as usize..(end - base) as usize)
                .unwrap_or_default();
            Framed::Document { bytes, offset, end }
        }
        Ended::Damaged {
            reason,
            offset,
            at,
            end,
        } => Framed::Damaged {
            reason,
            excerpt,
            offset,
            at,
            end,
        },
    }
}
