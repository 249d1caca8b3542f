//! Reads `InfluxDB` line protocol of other programs, and makes a document of each line. Types and the text of numbers are kept.
//!
//! ```text
//! measurement[,tag=value]* field=value[,field=value]* [time]        lines end with a line feed; one that begins with # is a comment
//! {"measurement":"m","tags":{"a":"b"},"time":1764393600000000000,"floats":{"t":54.10},"integers":{"n":45000},"booleans":{"on":true},"strings":{"s":"x"}}
//! ```
//!
//! As `InfluxDB`'s reference says: a backslash escapes a comma, an equals sign or a space in names and tags, and a quote or a backslash in a text; everywhere
//! else it stands for itself. A text in quotes may contain line feeds. If a field occurs more than once, the last one counts.

use std::fmt;

use crate::line_document::{Precision, is_blank, line_document};

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineFault {
    /// Its number, from 1 on.
    pub line: usize,
    /// The number of the byte at which the fault is, from 1 on.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub message: &'static str,
}

impl fmt::Display for LineFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            column,
            message,
        } = self;
        write!(formatter, "line {line}, column {column}: {message}")
    }
}

/// There are more lines than allowed; nothing was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyLines {
    /// How many are allowed.
    pub most: usize,
}

impl fmt::Display for TooManyLines {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "more than {} lines", self.most)
    }
}

impl std::error::Error for TooManyLines {}

/// A document for each line, or what is wrong with the line. Empty lines and comments are passed over.
pub fn read_lines(
    body: &[u8],
    precision: Precision,
    max_lines: usize,
) -> Result<Vec<Result<Vec<u8>, LineFault>>, TooManyLines> {
    let mut read = Vec::new();
    let (mut at, mut number) = (0, 1);
    while let Some(rest) = body.get(at..).filter(|rest| !rest.is_empty()) {
        let (line, length) = cut(rest);
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        let blanks = text.iter().take_while(|byte| is_blank(**byte)).count();
        if text.get(blanks).is_some_and(|byte| *byte != b'#') {
            if read.len() == max_lines {
                return Err(TooManyLines { most: max_lines });
            }
            let document = line_document(text, blanks, precision);
            read.push(document.map_err(|fault| LineFault {
                line: number,
                column: fault.at + 1,
                message: fault.message,
            }));
        }
        at += length;
        number += rest
            .get(..length)
            .map_or(1, |line| memchr::memchr_iter(b'\n', line).count());
    }
    Ok(read)
}

/// The line at the start of `bytes`, and its length including the line feed. A line feed inside a text does not end the line.
fn cut(bytes: &[u8]) -> (&[u8], usize) {
    let (mut in_fields, mut in_text, mut is_escaped) = (false, false, false);
    let first = bytes.iter().find(|byte| !is_blank(**byte));
    let is_comment = first == Some(&b'#');
    let mut before = b'\n';
    for (at, &byte) in bytes.iter().enumerate() {
        // A backslash stands for itself before a line feed.
        if is_escaped && (in_text || byte != b'\n') {
            is_escaped = false;
            before = b'\\';
            continue;
        }
        match byte {
            b'\\' => is_escaped = true,
            b'\n' if !in_text => return (bytes.get(..at).unwrap_or_default(), at + 1),
            b'"' if in_text => in_text = false,
            // A text begins only behind an equals sign; anywhere else a quote is an ordinary character.
            b'"' => in_text = in_fields && before == b'=' && !is_comment,
            b' ' => in_fields |= !is_blank(before) && before != b'\n',
            _ => {}
        }
        before = byte;
    }
    (bytes, bytes.len())
}
