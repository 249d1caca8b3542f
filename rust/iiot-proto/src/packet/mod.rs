//! The packet that goes on air: a header of eight bytes, a payload that depends on the type, and a checksum over both.
//!
//! ```text
//!  VVVTTTTT ffffffff ssssssss dddddddd bbbbbbbb bbbbbbbb qqqqqqqq qqqqqqqq  payload ...  cccccccc cccccccc
//!
//!  V version (1)   T type   f flags   s source   d destination   b boot id   q sequence number   c CRC-16/IBM-3740
//! ```
//!
//! Numbers are integers with a fixed scale, high byte first. A packet has only one encoding: if bytes can be decoded, the packet encodes to the same bytes.

mod ack;
mod bytes;
mod command;
mod envelope;
mod error;
mod header;
mod info;
mod reading;

pub use ack::Ack;
pub use command::{Action, Answer, Command, MIN_INTERVAL_S, Outcome};
pub use envelope::{Envelope, open};
pub use error::{DecodeError, DecodeFault, EncodeError};
pub use header::{BROADCAST, Flags, HEADER_BYTES, Header, PacketType};
pub use info::{Info, ResetCause};
pub use reading::{MAX_HUMIDITY_CENTIPERCENT, MAX_PRESSURE_PA, Reading, Status};

use crate::crc::crc16;
use bytes::{Reader, Writer};

/// The version of the protocol, which the first three bits of a packet contain.
pub const PROTOCOL_VERSION: u8 = 1;

/// The number of bytes of the checksum at the end.
pub const CRC_BYTES: usize = 2;

/// The number of bytes that every packet has in addition to its payload.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + CRC_BYTES;

/// The length of the longest packet of this version: a reading with all its fields.
pub const MAX_PACKET_BYTES: usize = OVERHEAD_BYTES + Reading::MAX_BYTES;

const _: () = assert!(
    MAX_PACKET_BYTES <= crate::MAX_FRAME_BYTES,
    "the radio module carries 240 bytes"
);
const _: () = assert!(
    Info::BYTES <= Reading::MAX_BYTES
        && Command::BYTES <= Reading::MAX_BYTES
        && Answer::BYTES <= Reading::MAX_BYTES
);

/// A packet: header and payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The header: flags, sender, receiver and number of the packet.
    pub header: Header,
    /// The payload.
    pub payload: Payload,
}

/// The payload of a packet, by type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The values that the sensors returned.
    Reading(Reading),
    /// What a node is and why it started.
    Info(Info),
    /// Says that a packet has arrived.
    Ack(Ack),
    /// A command of the gateway.
    Command(Command),
    /// What happened to a command.
    Answer(Answer),
}

impl Payload {
    /// The type that the header gives for this payload.
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Self::Reading(_) => PacketType::Reading,
            Self::Info(_) => PacketType::Info,
            Self::Ack(_) => PacketType::Ack,
            Self::Command(_) => PacketType::Command,
            Self::Answer(_) => PacketType::Answer,
        }
    }

    /// Check that the wire format can represent every value.
    pub fn check(&self) -> Result<(), EncodeError> {
        match self {
            Self::Reading(reading) => reading.check(),
            Self::Ack(ack) => ack.check(),
            Self::Info(_) | Self::Command(_) | Self::Answer(_) => Ok(()),
        }
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        match self {
            Self::Reading(reading) => reading.write(writer),
            Self::Info(info) => info.write(writer),
            Self::Ack(ack) => ack.write(writer),
            Self::Command(command) => command.write(writer),
            Self::Answer(answer) => answer.write(writer),
        }
    }

    fn read(packet_type: PacketType, mut reader: Reader<'_>) -> Result<Self, DecodeError> {
        let payload = match packet_type {
            PacketType::Reading => Self::Reading(Reading::read(&mut reader)?),
            PacketType::Info => Self::Info(Info::read(&mut reader)?),
            PacketType::Ack => Self::Ack(Ack::read(&mut reader)?),
            PacketType::Command => Self::Command(Command::read(&mut reader)?),
            PacketType::Answer => Self::Answer(Answer::read(&mut reader)?),
        };
        reader.finish()?;
        Ok(payload)
    }
}

impl Packet {
    /// Write the packet. Returns its length, at most [`MAX_PACKET_BYTES`].
    pub fn encode(&self, buffer: &mut [u8]) -> Result<usize, EncodeError> {
        self.payload.check()?;
        let mut writer = Writer::new(buffer);
        self.header.write(self.payload.packet_type(), &mut writer)?;
        self.payload.write(&mut writer)?;
        let crc = crc16(writer.written());
        writer.put_u16(crc)?;
        Ok(writer.len())
    }

    /// Read a whole packet. Callers that need the header even if the payload is invalid use [`open`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let envelope = open(bytes)?;
        Ok(Self {
            header: envelope.header(),
            payload: envelope.payload()?,
        })
    }
}
