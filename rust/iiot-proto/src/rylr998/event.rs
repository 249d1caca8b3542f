//! The events that the module reports.

use core::fmt;

/// One report of the module, or one stretch of invalid bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// `+RCV=`: a frame has arrived by radio.
    Received {
        /// The module's address of the sender.
        address: u16,
        /// The bytes of the frame; any bytes, at most [`crate::MAX_FRAME_BYTES`].
        data: &'a [u8],
        /// The received strength in dBm.
        rssi_dbm: i16,
        /// The signal-to-noise ratio in dB.
        snr_db: i8,
    },
    /// `+OK`: the module has accepted the last command.
    Ok,
    /// `+ERR=n`: the module has refused the last command, or something happened on air.
    Error(ModuleError),
    /// `+READY`: the module has started.
    Ready,
    /// Any other line that begins with a plus sign, without its line end: the answer to a query, such as `+VER=...`.
    Line(&'a [u8]),
    /// Bytes were thrown away.
    Damaged {
        /// The reason.
        damage: Damage,
        /// The number of bytes thrown away.
        bytes: u16,
    },
}

/// Why bytes were thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Damage {
    /// The bytes do not begin with a plus sign, as a line does.
    Noise,
    /// The line is longer than any line of the module.
    LineTooLong,
    /// The address or the length is not a number, or is too large. A frame holds at most 240 bytes.
    BadHeader,
    /// The data is not followed by a comma, the strength, the noise figure and a line end. So the length was wrong.
    BadTail,
    /// The module fell silent in the middle of a line.
    Gap,
}

impl Damage {
    /// A short name that never changes, for counters and test vectors.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::LineTooLong => "line_too_long",
            Self::BadHeader => "bad_header",
            Self::BadTail => "bad_tail",
            Self::Gap => "gap",
        }
    }
}

/// The meanings of `+ERR=n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ModuleError {
    /// 1: the command has no line end.
    NoLineEnd,
    /// 2: the command does not begin with AT.
    NoAt,
    /// 4: the module does not know the command.
    UnknownCommand,
    /// 5: the length does not match the data.
    LengthMismatch,
    /// 10: sending took too long.
    TransmitTimeout,
    /// 12: a received frame was damaged. The module reports this without a command.
    ReceivedDamaged,
    /// 13: there are more than 240 bytes to send.
    TooLong,
    /// 14: the module could not write its flash.
    FlashNotWritten,
    /// 15: the module does not know the cause.
    Unexplained,
    /// 17: the last frame is still on air.
    StillSending,
    /// 18: the preamble is not allowed with this network id.
    PreambleNotAllowed,
    /// 19: the header of a received frame was damaged. The module reports this without a command.
    ReceivedHeaderDamaged,
    /// 20: the times for saving power are not allowed.
    PowerSavingTimes,
    /// A number that the manual does not list.
    Other(u16),
}

impl ModuleError {
    /// The numbers that the manual lists.
    pub const KNOWN: [(u16, Self); 13] = [
        (1, Self::NoLineEnd),
        (2, Self::NoAt),
        (4, Self::UnknownCommand),
        (5, Self::LengthMismatch),
        (10, Self::TransmitTimeout),
        (12, Self::ReceivedDamaged),
        (13, Self::TooLong),
        (14, Self::FlashNotWritten),
        (15, Self::Unexplained),
        (17, Self::StillSending),
        (18, Self::PreambleNotAllowed),
        (19, Self::ReceivedHeaderDamaged),
        (20, Self::PowerSavingTimes),
    ];

    /// The error with this number.
    pub fn from_number(number: u16) -> Self {
        Self::KNOWN
            .into_iter()
            .find(|(known, _)| *known == number)
            .map_or(Self::Other(number), |(_, error)| error)
    }

    /// The number of the error.
    pub fn number(self) -> u16 {
        match self {
            Self::Other(number) => number,
            known => Self::KNOWN
                .into_iter()
                .find(|(_, error)| *error == known)
                .map_or(0, |(number, _)| number),
        }
    }

    /// Whether the error reports something that happened on air. Such an error is not the answer to a command.
    pub const fn is_unasked(self) -> bool {
        matches!(self, Self::ReceivedDamaged | Self::ReceivedHeaderDamaged)
    }
}

impl fmt::Display for ModuleError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoLineEnd => "the command has no line end",
            Self::NoAt => "the command does not begin with AT",
            Self::UnknownCommand => "the command is unknown",
            Self::LengthMismatch => "the length does not match the data",
            Self::TransmitTimeout => "sending took too long",
            Self::ReceivedDamaged => "a frame was received damaged",
            Self::TooLong => "more than 240 bytes to send",
            Self::FlashNotWritten => "its flash could not be written",
            Self::Unexplained => "it failed without a reason",
            Self::StillSending => "the last frame is still on air",
            Self::PreambleNotAllowed => "the preamble does not go with the network id",
            Self::ReceivedHeaderDamaged => "a frame's header was received damaged",
            Self::PowerSavingTimes => "the times for saving power are not allowed",
            Self::Other(number) => {
                return write!(formatter, "error {number}, which the manual does not have");
            }
        })
    }
}
