//! What is wrong with a packet, and where.

use core::fmt;

/// Bytes that are no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The offset in the packet.
    pub at: usize,
    /// What is wrong there.
    pub fault: DecodeFault,
}

/// What can be wrong with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeFault {
    /// Bytes are missing at the end.
    CutShort {
        /// At least so many.
        missing: u8,
    },
    /// More bytes than the radio carries.
    TooLong,
    /// The bytes were damaged on their way.
    Checksum {
        /// What the bytes give.
        computed: u16,
        /// What the packet says.
        carried: u16,
    },
    /// Another version of the protocol.
    Version {
        /// The version that was seen.
        seen: u8,
    },
    /// A type that this version does not have.
    Type {
        /// The type that was seen.
        seen: u8,
    },
    /// A bit is set that has no meaning in this version.
    ReservedBits {
        /// The bits.
        seen: u8,
    },
    /// A number that stands for nothing here.
    Discriminant {
        /// The number that was seen.
        seen: u8,
    },
    /// A value that cannot be, such as a humidity above 100 %.
    OutOfRange,
    /// A field that is written only when it is not zero, and is zero.
    Redundant,
    /// Bytes behind the last field.
    BytesLeft {
        /// How many.
        count: u8,
    },
}

impl DecodeFault {
    /// A short name that stays the same, for counters and vectors.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CutShort { .. } => "cut_short",
            Self::TooLong => "too_long",
            Self::Checksum { .. } => "checksum",
            Self::Version { .. } => "version",
            Self::Type { .. } => "type",
            Self::ReservedBits { .. } => "reserved_bits",
            Self::Discriminant { .. } => "discriminant",
            Self::OutOfRange => "out_of_range",
            Self::Redundant => "redundant",
            Self::BytesLeft { .. } => "bytes_left",
        }
    }

    /// One of each, for documents.
    pub const ALL: [Self; 10] = [
        Self::CutShort { missing: 0 },
        Self::TooLong,
        Self::Checksum {
            computed: 0,
            carried: 0,
        },
        Self::Version { seen: 0 },
        Self::Type { seen: 0 },
        Self::ReservedBits { seen: 0 },
        Self::Discriminant { seen: 0 },
        Self::OutOfRange,
        Self::Redundant,
        Self::BytesLeft { count: 0 },
    ];
}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "byte {}: ", self.at)?;
        match self.fault {
            DecodeFault::CutShort { missing } => write!(
                formatter,
                "the packet ends here, at least {missing} more expected"
            ),
            DecodeFault::TooLong => {
                write!(formatter, "longer than {} bytes", crate::MAX_FRAME_BYTES)
            }
            DecodeFault::Checksum { computed, carried } => {
                write!(
                    formatter,
                    "checksum {carried:#06x}, but the bytes give {computed:#06x}"
                )
            }
            DecodeFault::Version { seen } => write!(
                formatter,
                "version {seen}, expected {}",
                super::PROTOCOL_VERSION
            ),
            DecodeFault::Type { seen } => write!(formatter, "no packet has type {seen}"),
            DecodeFault::ReservedBits { seen } => {
                write!(formatter, "bits {seen:#04x} mean nothing in this version")
            }
            DecodeFault::Discriminant { seen } => {
                write!(formatter, "{seen} stands for nothing here")
            }
            DecodeFault::OutOfRange => formatter.write_str("a value that cannot be"),
            DecodeFault::Redundant => formatter.write_str("a zero that should have been left out"),
            DecodeFault::BytesLeft { count } => {
                write!(formatter, "{count} bytes behind the last field")
            }
        }
    }
}

impl core::error::Error for DecodeError {}

/// Why a packet could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The buffer ends before the packet does.
    BufferTooShort {
        /// At least so many bytes.
        needed: usize,
    },
    /// The value has no place on the wire.
    OutOfRange {
        /// The field.
        field: &'static str,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BufferTooShort { needed } => {
                write!(formatter, "the buffer ends before byte {needed}")
            }
            Self::OutOfRange { field } => write!(formatter, "{field} has no place on the wire"),
        }
    }
}

impl core::error::Error for EncodeError {}
