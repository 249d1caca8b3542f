//! What the gateway wants of a node, and what became of it.
//!
//! ```text
//!  command  bbbb uuuu cccccccc oo aaaa mmmmmmmm      answer  cccccccc rr vvvv mmmmmmmm
//!
//!  b the node's boot id   u last sequence number of the node at which it may be obeyed   c counter   o what   a argument
//!  r outcome   v value that holds now   m code over the first byte of the packet, the node's address, and the fields before it
//! ```
//!
//! A node has no clock that the gateway knows, but it has a boot id and a sequence number that every reading tells. A command is bound to both:
//! one recorded earlier is worth nothing after a restart, and soon worth nothing before it.

use crate::mac::Key;
use crate::packet::bytes::{Reader, Writer};
use crate::packet::{DecodeError, DecodeFault, EncodeError, PacketType};

/// The shortest interval that a node can be told.
pub const MIN_INTERVAL_S: u16 = 1;

/// What a command can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Send a reading every so many seconds, from [`MIN_INTERVAL_S`] on.
    SetInterval {
        /// Seconds.
        interval_s: u16,
    },
    /// Switch the LED.
    SetLed {
        /// On or off.
        on: bool,
    },
    /// Start anew, after the answer was sent.
    Reboot,
}

impl Action {
    /// The numbers of the actions, with their names.
    pub const NAMED: [(u8, &'static str); 3] = [(1, "set_interval"), (2, "set_led"), (3, "reboot")];

    /// Code and argument on the wire.
    pub const fn to_wire(self) -> (u8, u16) {
        match self {
            Self::SetInterval { interval_s } => (1, interval_s),
            Self::SetLed { on } => (2, on as u16),
            Self::Reboot => (3, 0),
        }
    }

    /// The action of a code and argument; else why a node refuses it.
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

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// It was obeyed.
    Done = 0,
    /// Refused: it came after its time, or was meant for an earlier run of the node.
    Expired = 1,
    /// Refused: the node does not know what is asked.
    Unknown = 2,
    /// Refused: its counter is not above that of the last one.
    Repeated = 3,
    /// Refused: its code is not that of the shared key.
    Forged = 4,
    /// Refused: the argument is outside what the node can do.
    OutOfRange = 5,
    /// The node tried and could not.
    NotPossible = 6,
}

impl Outcome {
    /// All of them with their names, in the order of their numbers.
    pub const NAMED: [(Self, &'static str); 7] = [
        (Self::Done, "done"),
        (Self::Expired, "expired"),
        (Self::Unknown, "unknown"),
        (Self::Repeated, "repeated"),
        (Self::Forged, "forged"),
        (Self::OutOfRange, "out_of_range"),
        (Self::NotPossible, "not_possible"),
    ];

    /// A short name that stays the same.
    pub fn name(self) -> &'static str {
        Self::NAMED
            .into_iter()
            .find(|(outcome, _)| *outcome == self)
            .map_or("", |(_, name)| name)
    }
}

/// What the gateway wants of a node. Code and argument stay as they came, so that a node can refuse what it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Command {
    /// The run of the node that is meant.
    pub boot: u16,
    /// The node obeys as long as its newest sequence number has not passed this one.
    pub until_seq: u16,
    /// Higher in each command to this node.
    pub counter: u32,
    /// What, as [`Action::to_wire`] gives it.
    pub code: u8,
    /// With which argument.
    pub argument: u16,
    /// The code that only holders of the key can make.
    pub mac: u32,
}

impl Command {
    /// Bytes of the payload.
    pub const BYTES: usize = Self::COVERED_BYTES + crate::mac::MAC_BYTES;
    const COVERED_BYTES: usize = 2 + 2 + 4 + 1 + 2;

    /// A command to `node` with its code.
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

    /// Whether the code is that of the key for this node.
    pub fn is_genuine(&self, key: &Key, node: u8) -> bool {
        self.mac == self.expected_mac(key, node)
    }

    /// The code that the command should carry.
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

    /// The payload as it goes on the wire, for those who hand a command on.
    pub fn to_payload(&self) -> [u8; Self::BYTES] {
        let mut payload = [0; Self::BYTES];
        let written = self.write(&mut Writer::new(&mut payload));
        debug_assert!(written.is_ok());
        payload
    }

    /// Read what [`Self::to_payload`] wrote. The offset of a fault counts from its start.
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

/// What became of a command, said by the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Answer {
    /// The command's counter.
    pub counter: u32,
    /// What became of it.
    pub outcome: Outcome,
    /// The value that holds now: seconds of the interval, 0 or 1 of the LED, else 0.
    pub value: u16,
    /// The code that only holders of the key can make.
    pub mac: u32,
}

impl Answer {
    /// Bytes of the payload.
    pub const BYTES: usize = Self::COVERED_BYTES + crate::mac::MAC_BYTES;
    const COVERED_BYTES: usize = 4 + 1 + 2;

    /// An answer of `node` with its code.
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

    /// Whether the code is that of the key for this node.
    pub fn is_genuine(&self, key: &Key, node: u8) -> bool {
        self.mac == self.expected_mac(key, node)
    }

    /// The code that the answer should carry.
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

    /// The payload as it goes on the wire, for those who hand an answer on.
    pub fn to_payload(&self) -> [u8; Self::BYTES] {
        let mut payload = [0; Self::BYTES];
        let written = self.write(&mut Writer::new(&mut payload));
        debug_assert!(written.is_ok());
        payload
    }

    /// Read what [`Self::to_payload`] wrote. The offset of a fault counts from its start.
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
