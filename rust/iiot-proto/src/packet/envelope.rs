//! A packet whose checksum and header are right, and whose payload nobody has read yet.
//!
//! A receiver needs both steps: damaged bytes are passed over in silence, but a whole packet whose payload makes no sense is acknowledged and
//! counted, or its sender would offer it for ever.

use crate::MAX_FRAME_BYTES;
use crate::crc::crc16;
use crate::packet::bytes::Reader;
use crate::packet::{
    CRC_BYTES, DecodeError, DecodeFault, HEADER_BYTES, Header, OVERHEAD_BYTES, PacketType, Payload,
};

/// A packet up to its payload.
#[derive(Clone, Copy)]
pub struct Envelope<'a> {
    packet_type: PacketType,
    header: Header,
    payload: Reader<'a>,
}

/// Check length, checksum, version, type and flags.
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
    /// What it is.
    pub fn packet_type(&self) -> PacketType {
        self.packet_type
    }

    /// From whom, to whom, which one.
    pub fn header(&self) -> Header {
        self.header
    }

    /// What it says.
    pub fn payload(&self) -> Result<Payload, DecodeError> {
        Payload::read(self.packet_type, self.payload)
    }
}
