//! The header: the eight bytes at the start of each packet. They give its type, its sender, its receiver and its number.

use crate::packet::bytes::{Reader, Writer};
use crate::packet::{DecodeError, DecodeFault, EncodeError, PROTOCOL_VERSION};

/// The number of bytes of the header.
pub const HEADER_BYTES: usize = 8;

/// The destination address for all nodes.
pub const BROADCAST: u8 = 255;

/// The type of a packet. Zero is not a type, so that a row of zeros is not a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PacketType {
    /// The values that the sensors returned.
    Reading = 1,
    /// What a node is and why it started.
    Info = 2,
    /// Says that a packet has arrived.
    Ack = 3,
    /// A command of the gateway.
    Command = 4,
    /// What happened to a command.
    Answer = 5,
}

impl PacketType {
    /// All types, in the order of their numbers.
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

/// Three bits that determine how a packet is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub struct Flags(u8);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// The receiver must acknowledge the packet.
    pub const ACK_REQ: Self = Self(1);
    /// The packet was sent before.
    pub const RETRY: Self = Self(2);
    /// A command follows, so the node must listen.
    pub const CMD_PENDING: Self = Self(4);

    const KNOWN: u8 = 0b111;

    /// The bits as on the wire.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The flags with these bits; `None` if a bit has no meaning.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits & !Self::KNOWN == 0 {
            Some(Self(bits))
        } else {
            None
        }
    }

    /// Whether all flags in `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These flags and those in `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These flags, and those in `other` if `set` is true.
    #[must_use]
    pub const fn with_if(self, other: Self, set: bool) -> Self {
        if set { self.with(other) } else { self }
    }
}

/// The header of a packet, without its version and its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// The flags, which determine how the packet is treated.
    pub flags: Flags,
    /// The address of the sender.
    pub src: u8,
    /// The address of the receiver, or [`BROADCAST`].
    pub dst: u8,
    /// A number that the sender draws at each start. In an ACK, it is the boot id of the acknowledged packet.
    pub boot: u16,
    /// The number of the packet, counted since the start of the sender. A packet that is sent again keeps its number. In an ACK, it is the number of
    /// the acknowledged packet.
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
