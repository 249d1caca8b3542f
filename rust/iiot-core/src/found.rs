//! Places of values in a document: ranges of its text, without copies.

use crate::json::Place;
use crate::json_text::unescape;
use crate::kind::Kind;
use crate::moment::Moment;
use crate::trie::Slot;

/// A value's place in the document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) kind: Kind,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Value {
    pub(crate) fn text<'a>(&self, document: &'a [u8]) -> &'a [u8] {
        document
            .get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }

    /// Whether there is a value: `null` is none.
    pub(crate) fn is_there(&self) -> bool {
        !matches!(self.kind, Kind::Missing | Kind::Null)
    }

    /// The same value in a text that begins `bytes` earlier.
    pub(crate) fn behind(self, bytes: u32) -> Self {
        if self.kind == Kind::Missing {
            return self;
        }
        Self {
            kind: self.kind,
            start: self.start + bytes,
            end: self.end + bytes,
        }
    }
}

/// What a wildcard matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capture {
    Key {
        start: u32,
        end: u32,
        escaped: bool,
    },
    Item(u32),
    /// A name that was joined of several: a range of `Scan::joined`.
    Joined {
        start: u32,
        end: u32,
    },
}

impl Capture {
    /// The same capture in a text that begins `bytes` earlier.
    pub(crate) fn behind(self, bytes: u32) -> Self {
        match self {
            Self::Key {
                start,
                end,
                escaped,
            } => Self::Key {
                start: start + bytes,
                end: end + bytes,
                escaped,
            },
            Self::Item(_) | Self::Joined { .. } => self,
        }
    }

    /// Append the text that the wildcard matched.
    pub(crate) fn push(self, document: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Key {
                start,
                end,
                escaped,
            } => {
                let raw = document
                    .get(start as usize..end as usize)
                    .unwrap_or_default();
                if escaped {
                    unescape(raw, out);
                } else {
                    out.extend_from_slice(raw);
                }
            }
            Self::Item(index) => out.extend_from_slice(index.to_string().as_bytes()),
            // No wildcard matched it; `Scan::push_capture` knows its text.
            Self::Joined { .. } => {}
        }
    }
}

/// A value that was found through wildcards; `captures` is where its first capture stands in `Scan::captures`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) slot: Slot,
    pub(crate) place: Place,
    pub(crate) value: Value,
    pub(crate) captures: u32,
}

/// The values to which a template of a point refers: where its captures begin, and the table with the values of its item (0 is that
/// of the document).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) captures: u32,
    pub(crate) table: u32,
}

/// A usable value of a field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldRef {
    pub(crate) field: u32,
    pub(crate) context: Context,
    pub(crate) value: Value,
}

/// The fields of one point, and its own time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PointRef {
    pub(crate) first: u32,
    pub(crate) end: u32,
    pub(crate) time: Option<Moment>,
    /// How many milliseconds the point is later than its time, because earlier points of the document have its series and time.
    pub(crate) later_ms: u32,
    /// The tags that the document and its device gave it: a range of `Scan::tags`.
    pub(crate) first_tag: u32,
    pub(crate) end_tag: u32,
}

/// A tag that the document or its device gave a point; its key is a range of `Scan::joined`, and the value of a device is one too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FoundTag {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) value: Value,
    /// Lines have the key as it is.
    pub(crate) is_plain: bool,
    /// The registry gave it, and it comes before all other tags of its key.
    pub(crate) is_of_device: bool,
}

/// Which of the items at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ItemPlace {
    /// The only one.
    Only,
    /// In a list there, counted from 0.
    InList(u32),
    /// The one that the wildcards of the path matched: where their captures begin in `Scan::captures`.
    Matched(u32),
}

/// The values of one item, or of a document that is an item of an array.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    pub(crate) scope: u32,
    pub(crate) place: ItemPlace,
    /// The item itself.
    pub(crate) value: Value,
    /// Where its values begin in `Scan::table_values`.
    pub(crate) values: u32,
    /// What its wildcards found: a range of `Scan::table_found`.
    pub(crate) found: u32,
    pub(crate) found_end: u32,
    /// The table of the document that it stands in.
    pub(crate) document: u32,
}
