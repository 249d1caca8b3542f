//! Commands of the gateway to a node, and the node's answers.
//!
//! ```text
//!  command  bbbb uuuu cccccccc oo aaaa mmmmmmmm      answer  cccccccc rr vvvv mmmmmmmm
//!
//!  b the node's boot id   u last sequence number of the node at which it may obey   c counter   o action   a argument
//!  r outcome   v current value   m code over the first byte of the packet, the node's address, and the fields before the code
//! ```
//!
//! The gateway does not know the node's clock, but every reading contains the node's boot id and sequence number. A command is bound to both.
//! Therefore a recorded command is worthless after a restart of the node, and becomes worthless soon even without one.

use crate::mac::Key;
use crate::packet::bytes::{Reader, Writer};
use crate::packet::{DecodeError, DecodeFault, EncodeError, PacketType};

/// The shortest interval between readings that a command can set, in seconds.
pub const MIN_INTERVAL_S: u16 = 1;

/// What a command can request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Send a reading at this interval, at least [`MIN_INTERVAL_S`].
    SetInterval {
        /// The interval in seconds.
        interval_s: u16,
    },
    /// Switch the LED.
    SetLed {
        /// Whether the LED is on.
        on: bool,
    },
    /// Restart, after the answer was sent.
    Reboot,
}

impl Action {
    /// The codes of the actions, with their names.
    pub const NAMED: [(u8, &'static str); 3] = [(1, "set_interval"), (2, "set_led"), (3, "reboot")];

    /// The code and the argument on the wire.
    pub const fn to_wire(self) -> (u8, u16) {
        match self {
            Self::SetInterval { interval_s } => (1, interval_s),
            Self::SetLed { on } => (2, on as u16),
            Self::Reboot => (3, 0),
        }
    }

    /// The action of a code and an argument, or else the reason why a node refuses it.
    pub const fn from_wire(code: u8, argument: u16) -> Result<Self, Outcome> {
        match (code, argument) {
            (1, MIN_INTERVAL_S..) => Ok(Self::SetInterval {
                interval_s: argument,
            }),
            (2, 0 | 1) => Ok(Self::SetLed { on: argument == 1 }),
            (3, 0) => Ok(Self::Reboot),
            (1..=3, _) => Err(Outcome::OutOfRange),
            _ => Err(Outcome::Unknown),
        }
    }
}

/// What happened to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// The node obeyed.
    Done = 0,
    /// Refused: the command arrived too late, or was meant for an earlier run of the node.
    Expired = 1,
    /// Refused: the node does not know the requested action.
    Unknown = 2,
    /// Refused: the counter is not higher than that of the last command.
    Repeated = 3,
    /// Refused: the code was not made with the shared key.
    Forged = 4,
    /// Refused: the argument is outside the range that the node supports.
    OutOfRange = 5,
    /// The node tried to obey and failed.
    NotPossible = 6,
}

impl Outcome {
    /// All outcomes with their names, in the order of their numbers.
    pub const NAMED: [(Self, &'static str); 7] = [
        (Self::Done, "done"),
        (Self::Expired, "expired"),
        (Self::Unknown, "unknown"),
        (Self::Repeated, "repeated"),
        (Self::Forged, "forged"),
        (Self::OutOfRange, "out_of_range"),
        (Self::NotPossible, "not_possible"),
    ];

    /// A short name that never changes.
    pub fn name(self) -> &'static str {
        Self::NAMED
            .into_iter()
            .find(|(outcome, _)| *outcome == self)
            .map_or("", |(_, name)| name)
    }
}

/// A command of the gateway to a node. Code and argument stay as they were received, so that a node can refuse an action that it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Command {
    /// The boot id of the run of the node that the command is meant for.
    pub boot: u16,
    /// The node obeys until its newest sequence number has passed this one.
    pub until_seq: u16,
    /// A counter that is higher in each further command to this node.
    pub counter: u32,
    /// The code of the action, as in [`Action::to_wire`].
    pub code: u8,
    /// The argument of the action.
    pub argument: u16,
    /// The authentication code, which only holders of the key can create.
    pub mac: u32,
}

impl Command {
    /// The number of bytes of the payload.
    pub const BYTES: usize = Self::COVERED_BYTES + crate::mac::MAC_BYTES;
    const COVERED_BYTES: usize = 2 + 2 + 4 + 1 + 2;

    /// Create a command to `node` with its authentication code.
    pub fn sign(
        key: &Key,
        node: u8,
        boot: u16,
        until_seq: u16,
        counter: u32,
        action: Action,
    ) -> Self {
        let (code, argument) = action.to_wire();
        let mut command = Self {
            boot,
            until_seq,
            counter,
            code,
            argument,
            mac: 0,
        };
        command.mac = command.expected_mac(key, node);
        command
    }

    /// Whether the authentication code was made with this key for this node.
    pub fn is_genuine(&self, key: &Key, node: u8) -> bool {
        self.mac == self.expected_mac(key, node)
    }

    /// The authentication code that the command should carry.
    pub fn expected_mac(&self, key: &Key, node: u8) -> u32 {
        let mut covered = [0; 2 + Self::COVERED_BYTES];
        let mut writer = Writer::new(&mut covered);
        let written = writer
            .put(&[PacketType::Command.first_byte(), node])
            .and_then(|()| self.write_covered(&mut writer));
        debug_assert!(written.is_ok());
        key.mac(writer.written())
    }

    fn write_covered(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.put_u16(self.boot)?;
        writer.put_u16(self.until_seq)?;
        writer.put_u32(self.counter)?;
        writer.put_u8(self.code)?;
        writer.put_u16(self.argument)
    }

    /// The payload as on the wire, for programs that pass a command on.
    pub fn to_payload(&self) -> [u8; Self::BYTES] {
        let mut payload = [0; Self::BYTES];
        let written = self.write(&mut Writer::new(&mut payload));
        debug_assert!(written.is_ok());
        payload
    }

    /// Read the bytes that [`Self::to_payload`] wrote. The offset of a fault counts from the start of the payload.
    pub fn from_payload(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload, 0);
        let read = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(read)
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.write_covered(writer)?;
        writer.put_u32(self.mac)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            boot: reader.take_u16()?,
            until_seq: reader.take_u16()?,
            counter: reader.take_u32()?,
            code: reader.take_u8()?,
            argument: reader.take_u16()?,
            mac: reader.take_u32()?,
        })
    }
}

/// A node's answer to a command. It says what happened to the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Answer {
    /// The counter of the command.
    pub counter: u32,
    /// What happened to the command.
    pub outcome: Outcome,
    /// The current value: the interval in seconds, 0 or 1 for the LED, otherwise 0.
    pub value: u16,
    /// The authentication code, which only holders of the key can create.
    pub mac: u32,
}

impl Answer {
    /// The number of bytes of the payload.
    pub const BYTES: usize = Self::COVERED_BYTES + crate::mac::MAC_BYTES;
    const COVERED_BYTES: usize = 4 + 1 + 2;

    /// Create an answer of `node` with its authentication code.
    pub fn sign(key: &Key, node: u8, counter: u32, outcome: Outcome, value: u16) -> Self {
        let mut answer = Self {
            counter,
            outcome,
            value,
            mac: 0,
        };
        answer.mac = answer.expected_mac(key, node);
        answer
    }

    /// Whether the authentication code was made with this key for this node.
    pub fn is_genuine(&self, key: &Key, node: u8) -> bool {
        self.mac == self.expected_mac(key, node)
    }

    /// The authentication code that the answer should carry.
    pub fn expected_mac(&self, key: &Key, node: u8) -> u32 {
        let mut covered = [0; 2 + Self::COVERED_BYTES];
        let mut writer = Writer::new(&mut covered);
        let written = writer
            .put(&[PacketType::Answer.first_byte(), node])
            .and_then(|()| self.write_covered(&mut writer));
        debug_assert!(written.is_ok());
        key.mac(writer.written())
    }

    fn write_covered(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.put_u32(self.counter)?;
        writer.put_u8(self.outcome as u8)?;
        writer.put_u16(self.value)
    }

    /// The payload as on the wire, for programs that pass an answer on.
    pub fn to_payload(&self) -> [u8; Self::BYTES] {
        let mut payload = [0; Self::BYTES];
        let written = self.write(&mut Writer::new(&mut payload));
        debug_assert!(written.is_ok());
        payload
    }

    /// Read the bytes that [`Self::to_payload`] wrote. The offset of a fault counts from the start of the payload.
    pub fn from_payload(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload, 0);
        let read = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(read)
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.write_covered(writer)?;
        writer.put_u32(self.mac)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let counter = reader.take_u32()?;
        let before = *reader;
        let seen = reader.take_u8()?;
        let Some((outcome, _)) = Outcome::NAMED
            .into_iter()
            .find(|(outcome, _)| *outcome as u8 == seen)
        else {
            return Err(before.fault(DecodeFault::Discriminant { seen }));
        };
        Ok(Self {
            counter,
            outcome,
            value: reader.take_u16()?,
            mac: reader.take_u32()?,
        })
    }
}
