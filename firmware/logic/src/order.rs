//! The lines that the gateway process writes to the gateway node, and the answers to them, one per line.
//!
//! ```text
//!  to the node      command <node> <valid for, s> <payload of the command, 38 hexadecimal digits>
//!  from the node    answer <node> <payload of the answer, 22 hexadecimal digits>
//!                   over <node> <counter> expired | unanswered | full
//!                   refused <why>
//! ```
//!
//! No line contains a brace, so that a program that looks for documents in the same stream ignores these lines. The gateway node cannot check the
//! authentication code of a command, because it does not have the key. The sensor node checks it.

use core::fmt::{self, Write};

use iiot_proto::packet::{Answer, Command};

use crate::hexadecimal;

/// The length of the longest accepted line, in bytes.
const LINE_BYTES: usize = 64;

/// The longest time for which a command is kept, in seconds.
const MAX_VALID_S: u16 = 3_600;

/// A line to the gateway process.
pub type Line = heapless::String<64>;

/// A command from the gateway process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The address of the node that the command is for.
    pub node: u8,
    /// The time for which the command is kept, in seconds.
    pub valid_s: u16,
    /// The command.
    pub command: Command,
}

/// Why a line was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderFault {
    /// The line is longer than any valid line.
    TooLong,
    /// The line does not begin with `command`.
    NotACommand,
    /// The node's address is not a number from 1 to 254.
    Node,
    /// The time is not a number from 1 to 3600.
    ValidFor,
    /// The payload is not 38 hexadecimal digits, or something follows the payload.
    Payload,
}

impl fmt::Display for OrderFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::TooLong => "a line has at most 64 bytes",
            Self::NotACommand => "a line begins with command",
            Self::Node => "a node is a number from 1 to 254",
            Self::ValidFor => "valid for 1 to 3600 seconds",
            Self::Payload => "a payload has 38 hexadecimal digits",
        })
    }
}

/// Splits bytes into lines, and reads the orders in them.
#[derive(Clone, Debug, Default)]
pub struct OrderReader {
    line: heapless::Vec<u8, LINE_BYTES>,
    too_long: bool,
}

impl OrderReader {
    /// A reader that has not received any byte.
    pub const fn new() -> Self {
        Self {
            line: heapless::Vec::new(),
            too_long: false,
        }
    }

    /// Read a byte. The byte that ends a line gives an order or a fault. Empty lines are ignored.
    pub fn push(&mut self, byte: u8) -> Option<Result<Order, OrderFault>> {
        if byte != b'\n' {
            self.too_long |= self.line.push(byte).is_err();
            return None;
        }
        let line = self.line.trim_ascii();
        let order = match () {
            () if self.too_long => Some(Err(OrderFault::TooLong)),
            () if line.is_empty() => None,
            () => Some(read(line)),
        };
        self.line.clear();
        self.too_long = false;
        order
    }
}

fn read(line: &[u8]) -> Result<Order, OrderFault> {
    let mut words = line.split(|byte| *byte == b' ');
    if words.next() != Some(b"command") {
        return Err(OrderFault::NotACommand);
    }
    let node = number(words.next(), 254).ok_or(OrderFault::Node)?;
    let valid_s = number(words.next(), MAX_VALID_S).ok_or(OrderFault::ValidFor)?;
    let digits = words.next().unwrap_or_default();
    let payload: [u8; Command::BYTES] = hexadecimal::bytes(digits).ok_or(OrderFault::Payload)?;
    if words.next().is_some() {
        return Err(OrderFault::Payload);
    }
    let command = Command::from_payload(&payload).map_err(|_| OrderFault::Payload)?;
    Ok(Order {
        node: node as u8,
        valid_s,
        command,
    })
}

/// Parse a number from 1 to `most`.
fn number(word: Option<&[u8]>, most: u16) -> Option<u16> {
    let text = core::str::from_utf8(word?).ok()?;
    text.parse()
        .ok()
        .filter(|number| (1..=most).contains(number))
}

/// The line for a node's answer to a command.
pub fn answer_line(node: u8, answer: &Answer) -> Line {
    let mut line = Line::new();
    // The longest line fits its 64 bytes; a test checks this.
    let _ = write!(line, "answer {node} ");
    for byte in answer.to_payload() {
        let _ = write!(line, "{byte:02x}");
    }
    let _ = line.push('\n');
    line
}

/// The line for a command that ended without an answer.
pub fn over_line(node: u8, counter: u32, why: &str) -> Line {
    let mut line = Line::new();
    let _ = writeln!(line, "over {node} {counter} {why}");
    line
}

/// The line for a line that was refused.
pub fn refused_line(fault: OrderFault) -> Line {
    let mut line = Line::new();
    let _ = writeln!(line, "refused {fault}");
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use iiot_proto::mac::Key;
    use iiot_proto::packet::{Action, Outcome};
    use std::format;
    use std::vec::Vec;

    fn command() -> Command {
        let key = Key::new([7; 16]);
        Command::sign(
            &key,
            1,
            0xB007,
            100,
            4_000_000_000,
            Action::SetLed { on: true },
        )
    }

    fn hex(bytes: &[u8]) -> std::string::String {
        bytes.iter().fold(std::string::String::new(), |text, byte| {
            format!("{text}{byte:02x}")
        })
    }

    fn push(text: &[u8]) -> Vec<Result<Order, OrderFault>> {
        let mut reader = OrderReader::new();
        text.iter().filter_map(|byte| reader.push(*byte)).collect()
    }

    /// A command is read as it was signed, with either line end.
    #[test]
    fn a_command_is_read() {
        let line = format!("\ncommand 1 60 {}\r\n\n", hex(&command().to_payload()));
        assert_eq!(
            push(line.as_bytes()),
            [Ok(Order {
                node: 1,
                valid_s: 60,
                command: command(),
            })]
        );
    }

    /// The reader reports each fault by its name, and reads the line after it.
    #[test]
    fn a_bad_line_costs_one_line() {
        let good = hex(&command().to_payload());
        for (line, fault) in [
            (format!("comand 1 60 {good}"), OrderFault::NotACommand),
            (format!("command 0 60 {good}"), OrderFault::Node),
            (format!("command 255 60 {good}"), OrderFault::Node),
            (format!("command 1 0 {good}"), OrderFault::ValidFor),
            (format!("command 1 3601 {good}"), OrderFault::ValidFor),
            (format!("command 1 60 {good}0"), OrderFault::Payload),
            (format!("command 1 60 {good} x"), OrderFault::Payload),
            (format!("command 1 60 g{}", &good[1..]), OrderFault::Payload),
            (format!("command 1 60 {good}{good}"), OrderFault::TooLong),
            ("\u{fffd} 1".into(), OrderFault::NotACommand),
        ] {
            let both = format!("{line}\ncommand 1 60 {good}\n");
            let orders = push(both.as_bytes());
            assert_eq!(orders[0], Err(fault), "{line}");
            assert!(orders[1].is_ok() && orders.len() == 2, "{line}");
        }
    }

    /// The longest lines fit, and none of them looks like a document.
    #[test]
    fn lines_fit_and_hold_no_brace() {
        let key = Key::new([7; 16]);
        let answer = Answer::sign(&key, 254, u32::MAX, Outcome::NotPossible, u16::MAX);
        let faults = [
            OrderFault::TooLong,
            OrderFault::NotACommand,
            OrderFault::Node,
            OrderFault::ValidFor,
            OrderFault::Payload,
        ];
        let lines = faults.into_iter().map(refused_line).chain([
            answer_line(254, &answer),
            over_line(254, u32::MAX, "unanswered"),
        ]);
        for line in lines {
            assert!(
                line.ends_with('\n') && !line.contains(['{', '}', '"']),
                "{line}"
            );
        }
    }
}
