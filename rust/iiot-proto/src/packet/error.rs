//! The faults of a packet, with their positions.

use core::fmt;

/// Why bytes are not a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The offset of the fault in the packet.
    pub at: usize,
    /// The fault.
    pub fault: DecodeFault,
}

/// The possible faults of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeFault {
    /// Bytes are missing at the end.
    CutShort {
        /// The number of missing bytes, at least.
        missing: u8,
    },
    /// There are more bytes than the radio carries.
    TooLong,
    /// The bytes were damaged on the way.
    Checksum {
        /// The checksum that follows from the bytes.
        computed: u16,
        /// The checksum in the packet.
        carried: u16,
    },
    /// The packet has another version of the protocol.
    Version {
        /// The version in the packet.
        seen: u8,
    },
    /// The packet has a type that does not exist in this version.
    Type {
        /// The type in the packet.
        seen: u8,
    },
    /// A bit is set that has no meaning in this version.
    ReservedBits {
        /// The bits without a meaning.
        seen: u8,
    },
    /// A number has no meaning in this field.
    Discriminant {
        /// The number in the packet.
        seen: u8,
    },
    /// A value is impossible, such as a humidity above 100 %.
    OutOfRange,
    /// A field is present although its value is zero. Such a field must be left out.
    Redundant,
    /// There are bytes after the last field.
    BytesLeft {
        /// The number of these bytes.
        count: u8,
    },
}

impl DecodeFault {
    /// A short name that never changes, for counters and test vectors.
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

    /// One example of each fault, for the documentation.
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
        /// The number of bytes that the buffer needs, at least.
        needed: usize,
    },
    /// The wire format cannot represent the value.
    OutOfRange {
        /// The name of the field.
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
