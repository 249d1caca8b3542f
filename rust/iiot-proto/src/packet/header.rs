//! The eight bytes at the start: what it is, from whom, to whom, and which one.

use crate::packet::bytes::{Reader, Writer};
use crate::packet::{DecodeError, DecodeFault, EncodeError, PROTOCOL_VERSION};

/// Bytes of the header.
pub const HEADER_BYTES: usize = 8;

/// The destination that means everyone.
pub const BROADCAST: u8 = 255;

/// What a packet is. Zero is no type, so that a row of zeros is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PacketType {
    /// What the sensors returned.
    Reading = 1,
    /// What a node is and why it started.
    Info = 2,
    /// A packet has arrived.
    Ack = 3,
    /// The gateway wants something.
    Command = 4,
    /// What became of a command.
    Answer = 5,
}

impl PacketType {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::Reading,
        Self::Info,
        Self::Ack,
        Self::Command,
        Self::Answer,
    ];

    pub(crate) const fn first_byte(self) -> u8 {
        (PROTOCOL_VERSION << 5) | self as u8
    }

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|packet_type| *packet_type as u8 == number)
    }
}

/// Three bits that change how a packet is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub struct Flags(u8);

impl Flags {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// The receiver shall acknowledge.
    pub const ACK_REQ: Self = Self(1);
    /// It was sent before.
    pub const RETRY: Self = Self(2);
    /// A command follows; listen.
    pub const CMD_PENDING: Self = Self(4);

    const KNOWN: u8 = 0b111;

    /// The bits on the wire.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Flags of these bits; `None` where a bit has no meaning.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits & !Self::KNOWN == 0 {
            Some(Self(bits))
        } else {
            None
        }
    }

    /// Whether all of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These and `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These and `other` if `set`.
    #[must_use]
    pub const fn with_if(self, other: Self, set: bool) -> Self {
        if set { self.with(other) } else { self }
    }
}

/// From whom, to whom, which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// How it is treated.
    pub flags: Flags,
    /// The address of who sends.
    pub src: u8,
    /// The address of who shall receive, or [`BROADCAST`].
    pub dst: u8,
    /// A number drawn at each start of the sender; in an ACK, that of the acknowledged packet.
    pub boot: u16,
    /// Counts the sender's packets since its start, a packet sent again keeping its number; in an ACK, that of the acknowledged packet.
    pub seq: u16,
}

impl Header {
    pub(crate) fn write(
        self,
        packet_type: PacketType,
        writer: &mut Writer<'_>,
    ) -> Result<(), EncodeError> {
        writer.put_u8(packet_type.first_byte())?;
        writer.put_u8(self.flags.bits())?;
        writer.put_u8(self.src)?;
        writer.put_u8(self.dst)?;
        writer.put_u16(self.boot)?;
        writer.put_u16(self.seq)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<(PacketType, Self), DecodeError> {
        let start = *reader;
        let first = reader.take_u8()?;
        if first >> 5 != PROTOCOL_VERSION {
            return Err(start.fault(DecodeFault::Version { seen: first >> 5 }));
        }
        let number = first & 0x1F;
        let Some(packet_type) = PacketType::from_number(number) else {
            return Err(start.fault(DecodeFault::Type { seen: number }));
        };
        let before_flags = *reader;
        let bits = reader.take_u8()?;
        let Some(flags) = Flags::from_bits(bits) else {
            return Err(before_flags.fault(DecodeFault::ReservedBits {
                seen: bits & !Flags::KNOWN,
            }));
        };
        let header = Self {
            flags,
            src: reader.take_u8()?,
            dst: reader.take_u8()?,
            boot: reader.take_u16()?,
            seq: reader.take_u16()?,
        };
        Ok((packet_type, header))
    }
}
