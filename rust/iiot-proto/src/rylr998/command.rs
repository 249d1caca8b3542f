//! The commands to the module, written to a caller's buffer.

use crate::MAX_FRAME_BYTES;
use crate::airtime::Modulation;

/// The length of the longest command: `AT+SEND=65535,240,`, the data, and a line end.
pub const MAX_COMMAND_BYTES: usize = 18 + MAX_FRAME_BYTES + 2;

/// A command to the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command<'a> {
    /// `AT`: asks whether the module answers.
    Probe,
    /// `AT+RESET`: restarts the module; `+RESET` and `+READY` follow.
    Reset,
    /// `AT+MODE=`: 0 to listen, 1 to sleep.
    Mode(u8),
    /// `AT+IPR=`: the baud rate of the UART.
    BaudRate(u32),
    /// `AT+BAND=`: the centre frequency in hertz.
    Band(u32),
    /// `AT+PARAMETER=`: spreading factor, bandwidth, coding rate and preamble.
    Parameter(Modulation),
    /// `AT+ADDRESS=`: the module's own address.
    Address(u16),
    /// `AT+NETWORKID=`: the network id, 3 to 15, or 18.
    NetworkId(u8),
    /// `AT+CPIN=`: the password of the network, eight hexadecimal digits.
    Password([u8; 4]),
    /// `AT+CRFOP=`: the power in dBm, 0 to 22.
    Power(u8),
    /// `AT+SEND=`: sends 1 to 240 arbitrary bytes to an address; address 0 means all modules.
    Send {
        /// The address of the receiver.
        address: u16,
        /// The bytes to send.
        data: &'a [u8],
    },
    /// A query. The answer is [`crate::rylr998::Event::Line`].
    Ask(Query),
}

/// The values that can be queried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Query {
    /// `AT+VER?`: the version of the module's firmware.
    Version,
    /// `AT+UID?`: the module's unique number.
    UniqueId,
    /// `AT+PARAMETER?`: the modulation.
    Parameter,
    /// `AT+BAND?`: the centre frequency.
    Band,
    /// `AT+ADDRESS?`: the module's own address.
    Address,
}

/// Why a command could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandError {
    /// The buffer ends before the command does. [`MAX_COMMAND_BYTES`] always suffice.
    BufferTooShort,
    /// There is nothing to send, or there are more than 240 bytes.
    DataLength {
        /// The number of bytes.
        bytes: usize,
    },
    /// The mode is neither 0 nor 1.
    Mode(u8),
    /// The module does not accept this network id.
    NetworkId(u8),
    /// The power is above 22 dBm.
    Power(u8),
}

impl Command<'_> {
    /// Write the command with its line end. Returns its length.
    pub fn write(&self, buffer: &mut [u8]) -> Result<usize, CommandError> {
        self.check()?;
        let mut out = Text { buffer, at: 0 };
        let written = match *self {
            Self::Probe => out.text(b"AT"),
            Self::Reset => out.text(b"AT+RESET"),
            Self::Mode(mode) => out.setting(b"AT+MODE=", u32::from(mode)),
            Self::BaudRate(baud) => out.setting(b"AT+IPR=", baud),
            Self::Band(hz) => out.setting(b"AT+BAND=", hz),
            Self::Parameter(modulation) => out.parameter(modulation),
            Self::Address(address) => out.setting(b"AT+ADDRESS=", u32::from(address)),
            Self::NetworkId(id) => out.setting(b"AT+NETWORKID=", u32::from(id)),
            Self::Password(password) => out.password(password),
            Self::Power(dbm) => out.setting(b"AT+CRFOP=", u32::from(dbm)),
            Self::Send { address, data } => out.send(address, data),
            Self::Ask(query) => out.text(match query {
                Query::Version => b"AT+VER?",
                Query::UniqueId => b"AT+UID?",
                Query::Parameter => b"AT+PARAMETER?",
                Query::Band => b"AT+BAND?",
                Query::Address => b"AT+ADDRESS?",
            }),
        };
        written
            .and_then(|()| out.text(b"\r\n"))
            .ok_or(CommandError::BufferTooShort)?;
        Ok(out.at)
    }

    fn check(&self) -> Result<(), CommandError> {
        match *self {
            Self::Mode(mode) if mode > 1 => Err(CommandError::Mode(mode)),
            Self::NetworkId(id) if !matches!(id, 3..=15 | 18) => Err(CommandError::NetworkId(id)),
            Self::Power(dbm) if dbm > 22 => Err(CommandError::Power(dbm)),
            Self::Send { data, .. } if data.is_empty() || data.len() > MAX_FRAME_BYTES => {
                Err(CommandError::DataLength { bytes: data.len() })
            }
            _ => Ok(()),
        }
    }
}

/// Text that grows in a buffer. Each method returns `None` if the buffer is too short.
struct Text<'a> {
    buffer: &'a mut [u8],
    at: usize,
}

impl Text<'_> {
    fn text(&mut self, text: &[u8]) -> Option<()> {
        let end = self.at.checked_add(text.len())?;
        self.buffer.get_mut(self.at..end)?.copy_from_slice(text);
        self.at = end;
        Some(())
    }

    fn number(&mut self, number: u32) -> Option<()> {
        let mut digits = [0; 10];
        let (mut left, mut length) = (number, 0_usize);
        for place in digits.iter_mut().rev() {
            *place = b'0'.wrapping_add((left % 10) as u8);
            left /= 10;
            length = length.saturating_add(1);
            if left == 0 {
                break;
            }
        }
        self.text(digits.get(digits.len().saturating_sub(length)..)?)
    }

    fn setting(&mut self, name: &[u8], value: u32) -> Option<()> {
        self.text(name)?;
        self.number(value)
    }

    fn parameter(&mut self, modulation: Modulation) -> Option<()> {
        self.setting(b"AT+PARAMETER=", u32::from(modulation.spreading_factor()))?;
        for value in [
            modulation.bandwidth() as u8,
            modulation.coding_rate(),
            modulation.preamble(),
        ] {
            self.setting(b",", u32::from(value))?;
        }
        Some(())
    }

    fn password(&mut self, password: [u8; 4]) -> Option<()> {
        self.text(b"AT+CPIN=")?;
        for nibble in password
            .into_iter()
            .flat_map(|byte| [byte >> 4, byte & 0x0F])
        {
            self.text(&[if nibble < 10 {
                b'0'.wrapping_add(nibble)
            } else {
                b'A'.wrapping_add(nibble.wrapping_sub(10))
            }])?;
        }
        Some(())
    }

    fn send(&mut self, address: u16, data: &[u8]) -> Option<()> {
        self.setting(b"AT+SEND=", u32::from(address))?;
        self.setting(b",", data.len() as u32)?;
        self.text(b",")?;
        self.text(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(command: Command<'_>) -> std::vec::Vec<u8> {
        let mut buffer = [0; MAX_COMMAND_BYTES];
        let length = command.write(&mut buffer).unwrap();
        buffer[..length].to_vec()
    }

    /// Each command is spelled as in the manual.
    #[test]
    fn commands_are_spelled_as_in_the_manual() {
        let cases: [(Command<'_>, &[u8]); 12] = [
            (Command::Probe, b"AT\r\n"),
            (Command::Reset, b"AT+RESET\r\n"),
            (Command::Mode(1), b"AT+MODE=1\r\n"),
            (Command::BaudRate(115_200), b"AT+IPR=115200\r\n"),
            (Command::Band(869_525_000), b"AT+BAND=869525000\r\n"),
            (
                Command::Parameter(Modulation::DEFAULT),
                b"AT+PARAMETER=7,7,1,12\r\n",
            ),
            (Command::Address(0), b"AT+ADDRESS=0\r\n"),
            (Command::NetworkId(18), b"AT+NETWORKID=18\r\n"),
            (
                Command::Password([0xFA, 0xBC, 0x00, 0x02]),
                b"AT+CPIN=FABC0002\r\n",
            ),
            (Command::Power(14), b"AT+CRFOP=14\r\n"),
            (
                Command::Send {
                    address: 2,
                    data: b"a,\r\n\0",
                },
                b"AT+SEND=2,5,a,\r\n\0\r\n",
            ),
            (Command::Ask(Query::Version), b"AT+VER?\r\n"),
        ];
        for (command, expected) in cases {
            assert_eq!(written(command), expected);
        }
    }

    /// The longest command has exactly the length of its constant, and any shorter buffer is refused.
    #[test]
    fn the_longest_command_fits_its_constant() {
        let longest = Command::Send {
            address: 65_535,
            data: &[b'+'; MAX_FRAME_BYTES],
        };
        assert_eq!(written(longest).len(), MAX_COMMAND_BYTES);
        for length in 0..MAX_COMMAND_BYTES {
            assert_eq!(
                longest.write(&mut std::vec![0; length]),
                Err(CommandError::BufferTooShort)
            );
        }
    }

    /// A command that the module would refuse is refused before it is sent.
    #[test]
    fn what_the_module_would_refuse_is_not_written() {
        let mut buffer = [0; MAX_COMMAND_BYTES];
        let mut refused = |command: Command<'_>| command.write(&mut buffer).unwrap_err();
        assert_eq!(
            refused(Command::Send {
                address: 1,
                data: b""
            }),
            CommandError::DataLength { bytes: 0 }
        );
        assert_eq!(
            refused(Command::Send {
                address: 1,
                data: &[0; 241]
            }),
            CommandError::DataLength { bytes: 241 }
        );
        assert_eq!(refused(Command::NetworkId(16)), CommandError::NetworkId(16));
        assert_eq!(refused(Command::Power(23)), CommandError::Power(23));
        assert_eq!(refused(Command::Mode(2)), CommandError::Mode(2));
    }
}
