//! What a node is and why it started. This is the first packet after each start.
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
    /// None of the other causes, or the node could not find out.
    Other = 0,
    /// The power was switched on.
    PowerOn = 1,
    /// The reset pin or a debug probe caused the restart.
    Pin = 2,
    /// The firmware restarted itself, for example after the command `reboot`.
    Software = 3,
    /// The watchdog caused the restart, because something hung.
    Watchdog = 4,
    /// The window watchdog caused the restart.
    WindowWatchdog = 5,
    /// The supply voltage dropped too low.
    BrownOut = 6,
    /// The node entered a low-power mode where this is not allowed.
    LowPower = 7,
}

impl ResetCause {
    /// All causes with their names, in the order of their numbers.
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

/// What a node is and what has happened to it. A counter stops at its highest value; it does not start again at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Info {
    /// The version of this protocol in the firmware.
    pub protocol: u8,
    /// The version of the firmware: major, minor, patch.
    pub firmware: [u8; 3],
    /// Why the node started.
    pub reset_cause: ResetCause,
    /// The time since the start, in seconds.
    pub uptime_s: u32,
    /// The interval between two readings, in seconds.
    pub interval_s: u16,
    /// The number of frames sent.
    pub transmitted: u16,
    /// The number of these frames that were sent again.
    pub retransmitted: u16,
    /// The number of readings dropped because there was no space, or because they could not be sent in time.
    pub dropped: u16,
    /// The number of times that the radio module refused a command.
    pub radio_errors: u16,
}

impl Info {
    /// The number of bytes of the payload.
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
