//! What the module says.

use core::fmt;

/// One thing that the module said, or one stretch of bytes that made no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// `+RCV=`: a frame has come by radio.
    Received {
        /// The module's address of the sender.
        address: u16,
        /// Any bytes, at most [`crate::MAX_FRAME_BYTES`].
        data: &'a [u8],
        /// Received strength in dBm.
        rssi_dbm: i16,
        /// Signal to noise in dB.
        snr_db: i8,
    },
    /// `+OK`: the last command was taken.
    Ok,
    /// `+ERR=n`: it was refused, or something happened on air.
    Error(ModuleError),
    /// `+READY`: the module has started.
    Ready,
    /// Any other line that begins with a plus sign, without its end: the answer to a query, such as `+VER=...`.
    Line(&'a [u8]),
    /// Bytes were thrown away.
    Damaged {
        /// Why.
        damage: Damage,
        /// How many.
        bytes: u16,
    },
}

/// Why bytes were thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Damage {
    /// Bytes where a line should have begun with a plus sign.
    Noise,
    /// A line longer than any of the module's.
    LineTooLong,
    /// An address or a length that is no number, or is too large; a frame holds 240 bytes at most.
    BadHeader,
    /// No comma, strength, noise figure and line end behind the data, so that its length was wrong.
    BadTail,
    /// The module fell silent in the middle.
    Gap,
}

impl Damage {
    /// A short name that stays the same, for counters and vectors.
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

/// What `+ERR=n` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ModuleError {
    /// 1: a command without a line end.
    NoLineEnd,
    /// 2: a command that does not begin with AT.
    NoAt,
    /// 4: a command it does not know.
    UnknownCommand,
    /// 5: the length does not match the data.
    LengthMismatch,
    /// 10: sending took too long.
    TransmitTimeout,
    /// 12: a frame was received damaged; comes unasked.
    ReceivedDamaged,
    /// 13: more than 240 bytes to send.
    TooLong,
    /// 14: its flash could not be written.
    FlashNotWritten,
    /// 15: it does not know what went wrong.
    Unexplained,
    /// 17: the last frame is still on air.
    StillSending,
    /// 18: the preamble does not go with the network id.
    PreambleNotAllowed,
    /// 19: a frame's header was received damaged; comes unasked.
    ReceivedHeaderDamaged,
    /// 20: times for saving power that are not allowed.
    PowerSavingTimes,
    /// A number that the manual does not have.
    Other(u16),
}

impl ModuleError {
    /// The numbers that the manual has.
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

    /// Its number.
    pub fn number(self) -> u16 {
        match self {
            Self::Other(number) => number,
            known => Self::KNOWN
                .into_iter()
                .find(|(_, error)| *error == known)
                .map_or(0, |(number, _)| number),
        }
    }

    /// Whether it tells of the air rather than of the last command, and so answers none.
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
