//! What a framer finds: documents, and stretches that began like one.

use std::fmt;

use crate::syntax::Syntax;

/// The most bytes of a damaged document that are kept to show.
pub const MAX_EXCERPT_BYTES: usize = 200;

/// A frame. Offsets count from the start of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framed<'a> {
    /// A whole JSON object.
    Document {
        /// Its text.
        bytes: &'a [u8],
        /// Where it starts.
        offset: u64,
        /// The first byte behind it.
        end: u64,
    },
    /// Something that began like a document and is none.
    Damaged {
        /// What is wrong with it.
        reason: DamageReason,
        /// Its first bytes, at most [`MAX_EXCERPT_BYTES`].
        excerpt: &'a [u8],
        /// Where it starts.
        offset: u64,
        /// Where it went wrong.
        at: u64,
        /// Where reading goes on.
        end: u64,
    },
}

/// Why a stretch of the stream is not a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DamageReason {
    /// The stream ended or broke inside it.
    CutShort,
    /// The line ended inside it.
    LineEnded,
    /// It is longer than the framer was allowed to hold.
    TooLong,
    /// An object needs a key in quotes.
    ExpectedKey,
    /// A key needs a colon.
    ExpectedColon,
    /// A value must stand here.
    ExpectedValue,
    /// An object needs a comma or its end.
    ExpectedCommaOrBrace,
    /// An array needs a comma or its end.
    ExpectedCommaOrBracket,
    /// Not how JSON writes a number.
    BadNumber,
    /// An escape that JSON does not know.
    BadEscape,
    /// A control character in a string.
    ControlCharacter,
    /// Not UTF-8.
    BadUtf8,
    /// Nested too deep.
    TooDeep,
}

impl DamageReason {
    /// A short name that stays the same, for counters and stored rejects.
    pub fn name(self) -> &'static str {
        match self {
            Self::CutShort => "cut_short",
            Self::LineEnded => "line_ended",
            Self::TooLong => "too_long",
            Self::ExpectedKey => "expected_key",
            Self::ExpectedColon => "expected_colon",
            Self::ExpectedValue => "expected_value",
            Self::ExpectedCommaOrBrace => "expected_comma_or_brace",
            Self::ExpectedCommaOrBracket => "expected_comma_or_bracket",
            Self::BadNumber => "bad_number",
            Self::BadEscape => "bad_escape",
            Self::ControlCharacter => "control_character",
            Self::BadUtf8 => "bad_utf8",
            Self::TooDeep => "too_deep",
        }
    }
}

impl fmt::Display for DamageReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::CutShort => "the stream ended inside the document",
            Self::LineEnded => "the line ended inside the document",
            Self::TooLong => "the document is longer than allowed",
            Self::ExpectedKey => "expected a key in quotes",
            Self::ExpectedColon => "expected a colon behind the key",
            Self::ExpectedValue => "expected a value",
            Self::ExpectedCommaOrBrace => "expected a comma or the end of the object",
            Self::ExpectedCommaOrBracket => "expected a comma or the end of the array",
            Self::BadNumber => "not a JSON number",
            Self::BadEscape => "not a JSON escape",
            Self::ControlCharacter => "control character inside a string",
            Self::BadUtf8 => "not UTF-8",
            Self::TooDeep => "nested deeper than 64",
        })
    }
}

impl From<Syntax> for DamageReason {
    fn from(syntax: Syntax) -> Self {
        match syntax {
            Syntax::Incomplete => Self::CutShort,
            Syntax::LineFeed => Self::LineEnded,
            Syntax::ExpectedKey => Self::ExpectedKey,
            Syntax::ExpectedColon => Self::ExpectedColon,
            Syntax::ExpectedValue => Self::ExpectedValue,
            Syntax::ExpectedCommaOrBrace => Self::ExpectedCommaOrBrace,
            Syntax::ExpectedCommaOrBracket => Self::ExpectedCommaOrBracket,
            Syntax::BadNumber => Self::BadNumber,
            Syntax::BadEscape => Self::BadEscape,
            Syntax::ControlCharacter => Self::ControlCharacter,
            Syntax::BadUtf8 => Self::BadUtf8,
            Syntax::TooDeep => Self::TooDeep,
        }
    }
}
