//! Remembers the last few shapes of documents, and gives up for a while if there are too many shapes. No other module knows of shapes.

mod shape;

use crate::found::{Capture, Found, Value};
use crate::json::{Observer, Place, read_document};
use crate::kind::Kind;
use crate::rules::SingleMetric;
use crate::syntax::Outcome;
use shape::{MAX_TOKENS, Shape};

/// How many shapes are remembered. A shape that does not match usually costs one comparison of the first bytes.
const MAX_SHAPES: usize = 4;
/// A balance decides whether shapes are tried: a document that matches adds `EARNED`, up to `MAX_CREDIT`; one that does not match
/// subtracts `COST`. Below zero, no shape is tried for `PAUSE_DOCUMENTS` documents.
const EARNED: i32 = 1;
const MAX_CREDIT: i32 = 64;
const COST: i32 = 4;
const PAUSE_DOCUMENTS: u32 = 256;

/// The values seen in a document: by slot, and those found by wildcards.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) values: &'a [Value],
    pub(crate) found: &'a [Found],
    pub(crate) captures: &'a [Capture],
}

impl Seen<'_> {
    /// For a document whose values were not examined.
    pub(crate) const NOTHING: Self = Self {
        values: &[],
        found: &[],
        captures: &[],
    };
}

/// The shapes seen last in one stream.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    known: Vec<Shape>,
    recent: usize,
    next: usize,
    credit: i32,
    pause: u32,
    tokens: Vec<Value>,
    /// The shape whose slots the scan's table holds at present; it holds no other slots.
    applied: Option<usize>,
}

impl Shapes {
    pub(crate) fn forget(&mut self) {
        self.known.clear();
        (self.recent, self.next, self.credit, self.pause) = (0, 0, 0, 0);
        self.applied = None;
    }

    /// Read the document at the start of `bytes`, if it has a remembered shape. Returns its end.
    #[inline]
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.pause > 0 {
            self.pause -= 1;
            return None;
        }
        let recent = self.known.get(self.recent)?;
        let end = match recent.read(bytes, &mut self.tokens) {
            Some(end) => Some(end),
            None => self.read_others(bytes),
        };
        match end {
            Some(_) => self.credit = MAX_CREDIT.min(self.credit + EARNED),
            None => self.pay(),
        }
        end
    }

    #[cold]
    fn read_others(&mut self, bytes: &[u8]) -> Option<usize> {
        for (number, shape) in self.known.iter().enumerate() {
            if number != self.recent
                && let Some(end) = shape.read(bytes, &mut self.tokens)
            {
                self.recent = number;
                return Some(end);
            }
        }
        None
    }

    #[cold]
    fn pay(&mut self) {
        self.credit -= COST;
        if self.credit < 0 {
            (self.credit, self.pause) = (MAX_CREDIT / 2, PAUSE_DOCUMENTS);
        }
    }

    /// Write the values of the last document into the tables of a scan.
    #[inline]
    pub(crate) fn apply(
        &mut self,
        values: &mut [Value],
        found: &mut Vec<Found>,
        captures: &mut Vec<Capture>,
    ) {
        if self.applied != Some(self.recent) {
            values.fill(Value::default());
            self.applied = Some(self.recent);
        }
        if let Some(shape) = self.known.get(self.recent) {
            shape.apply(&self.tokens, values, found, captures);
        }
    }

    /// The scan's table is to be written without a shape.
    pub(crate) fn unapply(&mut self) {
        self.applied = None;
    }

    /// The metrics that can find something in the document whose values were applied; `None` if they were not.
    #[inline]
    pub(crate) fn singles(&self) -> Option<&[SingleMetric]> {
        self.known.get(self.applied?).map(Shape::singles)
    }

    /// Whether documents of new shapes should be learnt now.
    pub(crate) fn is_learning(&self) -> bool {
        self.pause == 0
    }

    /// Remember the shape of a document with these tokens, if it has one. It replaces the oldest shape.
    pub(crate) fn learn(
        &mut self,
        document: &[u8],
        tokens: &[Value],
        seen: Seen<'_>,
        metrics: &[SingleMetric],
    ) {
        if let Some(shape) = Shape::of(document, tokens, seen, metrics) {
            self.remember(shape);
        }
    }

    fn remember(&mut self, shape: Shape) {
        if self.known.is_empty() {
            self.credit = MAX_CREDIT / 2;
        }
        if self.known.len() < MAX_SHAPES {
            self.recent = self.known.len();
            self.known.push(shape);
            return;
        }
        if let Some(oldest) = self.known.get_mut(self.next) {
            *oldest = shape;
            self.recent = self.next;
            self.applied = None;
        }
        self.next = (self.next + 1) % MAX_SHAPES;
    }
}

/// Collects tokens for a shape, and passes everything on to another observer.
pub(crate) struct Collecting<'a, O> {
    pub(crate) inner: O,
    pub(crate) tokens: &'a mut Vec<Value>,
}

/// Read the document at the start of `bytes` again, for its tokens. `None` if it has too many.
pub(crate) fn collect<O: Observer>(bytes: &[u8], inner: O) -> Outcome<Option<Vec<Value>>> {
    let mut tokens = Vec::new();
    read_document(
        bytes,
        &mut Collecting {
            inner,
            tokens: &mut tokens,
        },
    )?;
    Ok((tokens.len() <= MAX_TOKENS).then_some(tokens))
}

impl<O: Observer> Observer for Collecting<'_, O> {
    fn key(
        &mut self,
        bytes: &[u8],
        parent: Place,
        depth: usize,
        start: usize,
        end: usize,
        escaped: bool,
    ) -> Place {
        self.inner.key(bytes, parent, depth, start, end, escaped)
    }
    fn item(&mut self, parent: Place, depth: usize, index: usize) -> Place {
        self.inner.item(parent, depth, index)
    }
    fn scalar(&mut self, place: Place, kind: Kind, start: usize, end: usize) {
        if self.tokens.len() <= MAX_TOKENS {
            self.tokens.push(Value {
                kind,
                start: start as u32,
                end: end as u32,
            });
        }
        self.inner.scalar(place, kind, start, end);
    }
    fn open(&mut self, place: Place, depth: usize, kind: Kind, start: usize) {
        self.inner.open(place, depth, kind, start);
    }
    fn close(&mut self, place: Place, kind: Kind, start: usize, end: usize) {
        self.inner.close(place, kind, start, end);
    }
}
