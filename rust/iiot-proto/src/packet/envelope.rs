//! A packet with a correct checksum and a correct header, whose payload is not read yet.
//!
//! A receiver needs these two steps. It ignores damaged bytes in silence. But it acknowledges and counts an undamaged packet with an invalid payload;
//! otherwise the sender would send this packet for ever.

use crate::MAX_FRAME_BYTES;
use crate::crc::crc16;
use crate::packet::bytes::Reader;
use crate::packet::{
    CRC_BYTES, DecodeError, DecodeFault, HEADER_BYTES, Header, OVERHEAD_BYTES, PacketType, Payload,
};

/// A packet whose payload is not read yet.
#[derive(Clone, Copy)]
pub struct Envelope<'a> {
    packet_type: PacketType,
    header: Header,
    payload: Reader<'a>,
}

/// Check the length, the checksum, the version, the type and the flags of a packet.
pub fn open(bytes: &[u8]) -> Result<Envelope<'_>, DecodeError> {
    let missing = OVERHEAD_BYTES.saturating_sub(bytes.len());
    if missing > 0 {
        return Err(DecodeError {
            at: bytes.len(),
            fault: DecodeFault::CutShort {
                missing: missing as u8,
            },
        });
    }
    if bytes.len() > MAX_FRAME_BYTES {
        return Err(DecodeError {
            at: MAX_FRAME_BYTES,
            fault: DecodeFault::TooLong,
        });
    }
    let at = bytes.len().saturating_sub(CRC_BYTES);
    let (covered, carried) = bytes.split_at_checked(at).unwrap_or_default();
    let carried = carried.try_into().map_or(0, u16::from_be_bytes);
    let computed = crc16(covered);
    if computed != carried {
        return Err(DecodeError {
            at,
            fault: DecodeFault::Checksum { computed, carried },
        });
    }
    let (packet_type, header) = Header::read(&mut Reader::new(covered, 0))?;
    let payload = Reader::new(
        covered.get(HEADER_BYTES..).unwrap_or_default(),
        HEADER_BYTES,
    );
    Ok(Envelope {
        packet_type,
        header,
        payload,
    })
}

impl Envelope<'_> {
    /// The type of the packet.
    pub fn packet_type(&self) -> PacketType {
        self.packet_type
    }

    /// The header of the packet.
    pub fn header(&self) -> Header {
        self.header
    }

    /// Read the payload. Fails if the payload is invalid for the type of the packet.
    pub fn payload(&self) -> Result<Payload, DecodeError> {
        Payload::read(self.packet_type, self.payload)
    }
}
