//! What a node is and why it started: the first packet after each start.
//!
//! ```text
//!  pp MMmmpp rr uuuuuuuu iiii tttt RRRR dddd eeee
//!
//!  p protocol   M.m.p firmware   r reset cause   u uptime   i interval   t transmitted   R retransmitted   d dropped   e radio errors
//! ```

use crate::packet::bytes::{Reader, Writer};
use crate::packet::{DecodeError, DecodeFault, EncodeError};

/// Why a node started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ResetCause {
    /// None of the others, or the node could not tell.
    Other = 0,
    /// Power came.
    PowerOn = 1,
    /// The reset pin, or a probe.
    Pin = 2,
    /// The firmware itself, as after the command `reboot`.
    Software = 3,
    /// The watchdog: something hung.
    Watchdog = 4,
    /// The windowed watchdog.
    WindowWatchdog = 5,
    /// The supply sagged.
    BrownOut = 6,
    /// Low power was entered where that is not allowed.
    LowPower = 7,
}

impl ResetCause {
    /// All of them with their names, in the order of their numbers.
    pub const NAMED: [(Self, &'static str); 8] = [
        (Self::Other, "other"),
        (Self::PowerOn, "power_on"),
        (Self::Pin, "pin"),
        (Self::Software, "software"),
        (Self::Watchdog, "watchdog"),
        (Self::WindowWatchdog, "window_watchdog"),
        (Self::BrownOut, "brown_out"),
        (Self::LowPower, "low_power"),
    ];
}

/// What a node is and how it has fared. Counters stop at their highest value instead of beginning anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Info {
    /// The version of this protocol that the firmware was built with.
    pub protocol: u8,
    /// The firmware's version: major, minor, patch.
    pub firmware: [u8; 3],
    /// Why it started.
    pub reset_cause: ResetCause,
    /// How long ago, in seconds.
    pub uptime_s: u32,
    /// Seconds between two readings.
    pub interval_s: u16,
    /// Frames sent.
    pub transmitted: u16,
    /// Of those, how many were sent again.
    pub retransmitted: u16,
    /// Readings dropped for want of room or because they could not be sent in time.
    pub dropped: u16,
    /// Times that the radio module refused something.
    pub radio_errors: u16,
}

impl Info {
    /// Bytes of the payload.
    pub const BYTES: usize = 1 + 3 + 1 + 4 + 2 + 2 + 2 + 2 + 2;

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.put_u8(self.protocol)?;
        writer.put(&self.firmware)?;
        writer.put_u8(self.reset_cause as u8)?;
        writer.put_u32(self.uptime_s)?;
        writer.put_u16(self.interval_s)?;
        writer.put_u16(self.transmitted)?;
        writer.put_u16(self.retransmitted)?;
        writer.put_u16(self.dropped)?;
        writer.put_u16(self.radio_errors)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (protocol, firmware) = (reader.take_u8()?, reader.take()?);
        let before = *reader;
        let seen = reader.take_u8()?;
        let Some((reset_cause, _)) = ResetCause::NAMED
            .into_iter()
            .find(|(cause, _)| *cause as u8 == seen)
        else {
            return Err(before.fault(DecodeFault::Discriminant { seen }));
        };
        Ok(Self {
            protocol,
            firmware,
            reset_cause,
            uptime_s: reader.take_u32()?,
            interval_s: reader.take_u16()?,
            transmitted: reader.take_u16()?,
            retransmitted: reader.take_u16()?,
            dropped: reader.take_u16()?,
            radio_errors: reader.take_u16()?,
        })
    }
}
