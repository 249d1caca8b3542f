//! Says that a packet has arrived. The boot id and the sequence number in the header are those of this packet.
//!
//! ```text
//!  rr ss
//!
//!  r received strength, negated dBm   s signal-to-noise ratio, dB
//! ```

use crate::packet::bytes::{Reader, Writer};
use crate::packet::{DecodeError, EncodeError};

/// How well the acknowledged packet was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ack {
    /// The received strength in dBm, -255 to 0; [`Ack::new`] limits it to this range.
    pub rssi_dbm: i16,
    /// The signal-to-noise ratio in dB.
    pub snr_db: i8,
}

impl Ack {
    /// The number of bytes of the payload.
    pub const BYTES: usize = 2;

    /// An acknowledgement whose strength is limited to the range of the wire format.
    pub fn new(rssi_dbm: i16, snr_db: i8) -> Self {
        Self {
            rssi_dbm: rssi_dbm.clamp(-255, 0),
            snr_db,
        }
    }

    pub(crate) fn check(self) -> Result<(), EncodeError> {
        if (-255..=0).contains(&self.rssi_dbm) {
            Ok(())
        } else {
            Err(EncodeError::OutOfRange { field: "rssi_dbm" })
        }
    }

    pub(crate) fn write(self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.put_u8(self.rssi_dbm.unsigned_abs() as u8)?;
        writer.put_u8(self.snr_db as u8)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let negated = reader.take_u8()?;
        Ok(Self {
            rssi_dbm: i16::from(negated).saturating_neg(),
            snr_db: reader.take_u8()? as i8,
        })
    }
}
