//! What stands at a place in a document.

/// What kind of value a place in a document holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Nothing was there.
    #[default]
    Missing,
    /// `null`, treated as missing.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number, kept as its text.
    Number,
    /// A number with an exponent: one that may be out of range.
    Scientific,
    /// A number that the profile declares as an integer, and that is one. The parser never gives this kind.
    Integer,
    /// A number, an integer or a text that is a level of the topic: the range is a range of the topic. The parser never gives these kinds.
    LevelNumber,
    /// See `LevelNumber`.
    LevelInteger,
    /// See `LevelNumber`.
    LevelText,
    /// A string without escapes; the range holds the text between the quotes.
    String,
    /// A string with escapes; the range holds the raw text between the quotes.
    EscapedString,
    /// An object, braces included.
    Object,
    /// An array, brackets included.
    Array,
}

impl Kind {
    /// Whether the value is a level of the topic.
    pub(crate) fn is_level(self) -> bool {
        matches!(
            self,
            Self::LevelNumber | Self::LevelInteger | Self::LevelText
        )
    }
}
