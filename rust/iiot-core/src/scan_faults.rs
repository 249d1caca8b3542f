//! Why a value, or a whole document, gives no point: each reason, with its name in counters and rejects.

use std::fmt;
use std::sync::Arc;

use crate::syntax::Syntax;

/// A value that the profile wanted and could not use. The rest of the document is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueFault {
    /// The path as the profile writes it, with wildcards replaced by the keys that they matched.
    pub path: String,
    /// What is wrong with it.
    pub reason: ValueFaultReason,
    /// The value's range in the document.
    pub start: usize,
    /// The first byte behind it.
    pub end: usize,
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ValueFaultReason {
    /// The profile wants a number.
    NotANumber,
    /// The profile wants `true` or `false`.
    NotABoolean,
    /// The profile wants a text.
    NotAString,
    /// The profile wants one value, not an object or an array.
    NotAScalar,
    /// The profile wants an object.
    NotAnObject,
    /// The profile wants a whole number that is not negative and fits 64 bits.
    NotACount,
    /// The profile wants a number without a fraction that fits 64 bits.
    NotAnInteger,
    /// A text or a boolean that the profile does not name, although it names others.
    NotNamed,
    /// Not a time in the format that the profile names.
    NotATime,
    /// Another value of the point has its name.
    NameTaken,
    /// Too large for any database: not finite as a 64-bit float.
    OutOfRange,
    /// The document has more than [`crate::bounds::MAX_WILDCARD_POINTS`] points; this one and those behind it are left out.
    TooMany,
}

impl ValueFaultReason {
    /// A short name that stays the same, for counters and stored rejects.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotANumber => "not_a_number",
            Self::NotABoolean => "not_a_boolean",
            Self::NotAString => "not_a_string",
            Self::NotAScalar => "not_a_scalar",
            Self::NotAnObject => "not_an_object",
            Self::NotACount => "not_a_count",
            Self::NotAnInteger => "not_an_integer",
            Self::NotNamed => "not_named",
            Self::NotATime => "not_a_time",
            Self::NameTaken => "name_taken",
            Self::OutOfRange => "out_of_range",
            Self::TooMany => "too_many",
        }
    }
}

impl fmt::Display for ValueFaultReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotANumber => "not a number",
            Self::NotABoolean => "not true or false",
            Self::NotAString => "not a string",
            Self::NotAScalar => "not a single value",
            Self::NotAnObject => "not an object",
            Self::NotACount => "not a whole number from 0 to 2^64-1",
            Self::NotAnInteger => "not a whole number from -2^63 to 2^63-1",
            Self::NotNamed => "a text or boolean that the profile does not name",
            Self::NotATime => "not a time in the profile's format",
            Self::NameTaken => "another value has its name",
            Self::OutOfRange => "out of range",
            Self::TooMany => "more points in one document than allowed",
        })
    }
}

/// Why a document gives nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanFault {
    /// What is wrong.
    pub reason: ScanFaultReason,
    /// Where in the document.
    pub at: usize,
}

/// Why a document gives nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScanFaultReason {
    /// Not one JSON object on one line.
    NotADocument(Syntax),
    /// A whole document, with further bytes behind it.
    BytesBehind,
    /// Longer than 2^32 bytes.
    TooLong,
    /// No point of the profile is for documents with this topic.
    TopicNotAccepted {
        /// The topic; empty if there was none.
        topic: Arc<str>,
    },
    /// The profile says that it is not telemetry; it is neither a frame nor a reject.
    Ignored {
        /// The profile's name for such documents.
        name: Arc<str>,
    },
    /// None of the paths that the profile looks for held a usable value.
    NothingUsable {
        /// The paths, separated by commas.
        looked_for: Arc<str>,
        /// The values that were there, and why they could not be used; empty if there were none.
        found: String,
    },
}

impl ScanFaultReason {
    /// A short name that stays the same, for counters and stored rejects.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotADocument(syntax) => crate::framed::DamageReason::from(*syntax).name(),
            Self::BytesBehind => "bytes_behind",
            Self::TooLong => "too_long",
            Self::TopicNotAccepted { .. } => "topic_not_accepted",
            Self::Ignored { .. } => "ignored",
            Self::NothingUsable { .. } => "nothing_usable",
        }
    }
}

impl fmt::Display for ScanFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            ScanFaultReason::NotADocument(syntax) => {
                write!(
                    formatter,
                    "{} at byte {}",
                    crate::framed::DamageReason::from(*syntax),
                    self.at
                )
            }
            ScanFaultReason::BytesBehind => write!(
                formatter,
                "bytes behind the document, from byte {}",
                self.at
            ),
            ScanFaultReason::TooLong => {
                formatter.write_str("the document is longer than 2^32 bytes")
            }
            ScanFaultReason::TopicNotAccepted { topic } if topic.is_empty() => formatter.write_str(
                "the document came without a topic, and every point of the profile has a filter",
            ),
            ScanFaultReason::TopicNotAccepted { topic } => write!(
                formatter,
                "no filter of the profile's points matches the topic {}",
                crate::quote(topic.as_bytes())
            ),
            ScanFaultReason::Ignored { name } => {
                write!(formatter, "ignored by the profile as {name}")
            }
            ScanFaultReason::NothingUsable { looked_for, found } => {
                let found = if found.is_empty() {
                    String::new()
                } else {
                    format!(": {found}")
                };
                write!(formatter, "no usable value{found}; looked for {looked_for}")
            }
        }
    }
}

impl std::error::Error for ScanFault {}
