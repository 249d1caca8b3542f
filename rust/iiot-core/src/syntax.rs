//! Why a text is not a JSON document on one line, and where.

/// Why a text is not a JSON document on one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Syntax {
    /// The bytes ended inside the document. More bytes may complete it.
    Incomplete,
    /// A raw line feed.
    LineFeed,
    /// An object needs a key in quotes here.
    ExpectedKey,
    /// A key needs its colon here.
    ExpectedColon,
    /// A value must stand here.
    ExpectedValue,
    /// An object goes on with a comma or ends with a brace here.
    ExpectedCommaOrBrace,
    /// An array goes on with a comma or ends with a bracket here.
    ExpectedCommaOrBracket,
    /// Not how JSON writes a number.
    BadNumber,
    /// An escape that JSON does not know, or half of a surrogate pair.
    BadEscape,
    /// A control character inside a string.
    ControlCharacter,
    /// Bytes that are not UTF-8.
    BadUtf8,
    /// Nested deeper than [`MAX_DEPTH`](crate::json::MAX_DEPTH).
    TooDeep,
}

/// A fault and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyntaxFault {
    /// What is wrong.
    pub syntax: Syntax,
    /// Offset in the document of the first byte that cannot be right.
    pub at: usize,
}

pub(crate) type Outcome<T> = Result<T, SyntaxFault>;

pub(crate) fn fault<T>(syntax: Syntax, at: usize) -> Outcome<T> {
    Err(SyntaxFault { syntax, at })
}
