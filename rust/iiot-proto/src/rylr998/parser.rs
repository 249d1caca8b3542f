//! Turns bytes from the module into events, one byte at a time, in bounded memory.
//!
//! ```text
//!            '+' begins a line                 "+RCV=a,l,"               l bytes
//!  Searching ─────────────────► Line ─────────────────────────► Data ───────────► Tail ─► event at the line end
//!      ▲                         │ line end: event                │ silence         │ not ",rssi,snr"
//!      └───── line end ── Skipping ◄──────────────────────────────┴─────────────────┘
//! ```
//!
//! After damage, the parser continues at the next line that begins with a plus sign. A silence longer than the gap ends an open line, because the
//! module writes a line without a pause. So if the length of a frame was damaged and became larger, only this frame is lost and not the next one.

use crate::MAX_FRAME_BYTES;
use crate::rylr998::event::{Damage, Event, ModuleError};

/// The longest line without data that the module sends, in bytes. The line with its unique id has 29.
pub const MAX_LINE_BYTES: usize = 48;

/// The silence that ends an open line, in milliseconds. At 115,200 baud a byte takes 87 microseconds, so within a line the module is never silent for 20 ms.
pub const DEFAULT_GAP_MS: u64 = 20;

const RECEIVED: &[u8] = b"+RCV=";

/// The length of `,-255,-128` and a carriage return, with some reserve.
const MAX_TAIL_BYTES: usize = 14;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The parser is between lines.
    Searching,
    /// The parser is in a line that began with a plus sign. The bytes of the line are in `line`.
    Line,
    /// The parser is in the data of a frame.
    Data { address: u16, length: usize },
    /// The parser is after the data. The bytes after the data are in `line`.
    Tail { address: u16, length: usize },
    /// The parser discards bytes up to the next line feed.
    Skipping { damage: Damage },
}

/// The parser of one module's bytes.
#[derive(Clone, Debug)]
pub struct Parser {
    state: State,
    gap_ms: u64,
    last_ms: u64,
    line: [u8; MAX_LINE_BYTES],
    line_bytes: usize,
    data: [u8; MAX_FRAME_BYTES],
    data_bytes: usize,
    /// The number of bytes since the last event.
    open_bytes: u16,
}

impl Default for Parser {
    fn default() -> Self {
        Self::new(DEFAULT_GAP_MS)
    }
}

impl Parser {
    /// A parser that gives up an open line after `gap_ms` of silence.
    pub const fn new(gap_ms: u64) -> Self {
        Self {
            state: State::Searching,
            gap_ms,
            last_ms: 0,
            line: [0; MAX_LINE_BYTES],
            line_bytes: 0,
            data: [0; MAX_FRAME_BYTES],
            data_bytes: 0,
            open_bytes: 0,
        }
    }

    /// Parse bytes that arrived at `now_ms`, and pass each event to `tell`.
    pub fn feed(&mut self, bytes: &[u8], now_ms: u64, mut tell: impl FnMut(Event<'_>)) {
        if let Some(event) = self.tick(now_ms) {
            tell(event);
        }
        for &byte in bytes {
            if let Some(event) = self.push(byte, now_ms) {
                tell(event);
            }
        }
    }

    /// Tell the parser the time. This is needed only to report a silence while it lasts; the next byte would reveal the silence, too.
    pub fn tick(&mut self, now_ms: u64) -> Option<Event<'static>> {
        let silent = self.open_bytes > 0 && now_ms.saturating_sub(self.last_ms) > self.gap_ms;
        if !silent {
            return None;
        }
        let damage = match self.state {
            State::Searching => Damage::Noise,
            State::Skipping { damage } => damage,
            State::Line | State::Data { .. } | State::Tail { .. } => Damage::Gap,
        };
        Some(self.drop_open(damage, 0))
    }

    /// Parse one byte. Before this, call [`Parser::tick`] with the same time, or use [`Parser::feed`], which does so.
    pub fn push(&mut self, byte: u8, now_ms: u64) -> Option<Event<'_>> {
        self.last_ms = now_ms;
        self.open_bytes = self.open_bytes.saturating_add(1);
        match self.state {
            State::Searching => self.search(byte),
            State::Line => self.in_line(byte),
            State::Data { address, length } => {
                if let Some(place) = self.data.get_mut(self.data_bytes) {
                    *place = byte;
                }
                self.data_bytes = self.data_bytes.saturating_add(1);
                if self.data_bytes >= length {
                    self.line_bytes = 0;
                    self.state = State::Tail { address, length };
                }
                None
            }
            State::Tail { address, length } => self.in_tail(byte, address, length),
            State::Skipping { damage } => (byte == b'\n').then(|| self.drop_open(damage, 0)),
        }
    }

    /// Discard the open bytes except the last `kept` ones.
    fn drop_open(&mut self, damage: Damage, kept: u16) -> Event<'static> {
        let bytes = self.open_bytes.saturating_sub(kept);
        self.open_bytes = kept;
        self.line_bytes = 0;
        self.state = State::Searching;
        Event::Damaged { damage, bytes }
    }

    fn settle(&mut self) {
        self.open_bytes = 0;
        self.line_bytes = 0;
        self.state = State::Searching;
    }

    fn skip(&mut self, damage: Damage, byte: u8) -> Option<Event<'static>> {
        if byte == b'\n' {
            return Some(self.drop_open(damage, 0));
        }
        self.state = State::Skipping { damage };
        None
    }

    fn keep(&mut self, byte: u8) -> bool {
        let Some(place) = self.line.get_mut(self.line_bytes) else {
            return false;
        };
        *place = byte;
        self.line_bytes = self.line_bytes.saturating_add(1);
        true
    }

    fn begin_line(&mut self) {
        self.line_bytes = 0;
        self.keep(b'+');
        self.state = State::Line;
    }

    fn search(&mut self, byte: u8) -> Option<Event<'static>> {
        match byte {
            b'+' => {
                let noise = self.open_bytes > 1;
                let event = noise.then(|| self.drop_open(Damage::Noise, 1));
                self.begin_line();
                event
            }
            // Line ends between lines are not noise.
            b'\r' | b'\n' if self.open_bytes == 1 => {
                self.open_bytes = 0;
                None
            }
            b'\n' => Some(self.drop_open(Damage::Noise, 0)),
            _ => None,
        }
    }

    fn in_line(&mut self, byte: u8) -> Option<Event<'_>> {
        match byte {
            // No line contains a second plus sign. So the first one was noise, or its line was cut off.
            b'+' => {
                let event = self.drop_open(Damage::Noise, 1);
                self.begin_line();
                Some(event)
            }
            b'\n' => Some(self.end_line()),
            _ if !self.keep(byte) => self.skip(Damage::LineTooLong, byte),
            b',' => self.in_header(byte),
            _ => None,
        }
    }

    /// Called after a comma. If it is the second comma of a frame's header, the data follows.
    fn in_header(&mut self, byte: u8) -> Option<Event<'static>> {
        let line = self.line.get(..self.line_bytes).unwrap_or_default();
        let fields = line.strip_prefix(RECEIVED)?;
        let mut fields = fields.split(|byte| *byte == b',');
        let (address, length) = (
            fields.next().unwrap_or_default(),
            fields.next().unwrap_or_default(),
        );
        let Some(address) = number(address) else {
            return self.skip(Damage::BadHeader, byte);
        };
        fields.next()?;
        match number(length).map(usize::from) {
            Some(length) if length <= MAX_FRAME_BYTES => {
                self.data_bytes = 0;
                self.line_bytes = 0;
                self.state = if length == 0 {
                    State::Tail { address, length }
                } else {
                    State::Data { address, length }
                };
                None
            }
            _ => self.skip(Damage::BadHeader, byte),
        }
    }

    fn end_line(&mut self) -> Event<'_> {
        let length = self.line_bytes;
        let line = self.line.get(..length).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.starts_with(RECEIVED) {
            return self.drop_open(Damage::BadHeader, 0);
        }
        let error = line
            .strip_prefix(b"+ERR=")
            .and_then(number)
            .map(ModuleError::from_number);
        let (is_ok, is_ready, shown) = (line == b"+OK", line == b"+READY", line.len());
        self.settle();
        match error {
            Some(error) => Event::Error(error),
            None if is_ok => Event::Ok,
            None if is_ready => Event::Ready,
            None => Event::Line(self.line.get(..shown).unwrap_or_default()),
        }
    }

    fn in_tail(&mut self, byte: u8, address: u16, length: usize) -> Option<Event<'_>> {
        if self.line_bytes == 0 && byte != b',' {
            return self.skip(Damage::BadTail, byte);
        }
        if byte != b'\n' {
            let fits = self.line_bytes < MAX_TAIL_BYTES && self.keep(byte);
            return if fits {
                None
            } else {
                self.skip(Damage::BadTail, byte)
            };
        }
        let tail = self.line.get(..self.line_bytes).unwrap_or_default();
        let Some((rssi_dbm, snr_db)) = signal(tail) else {
            return Some(self.drop_open(Damage::BadTail, 0));
        };
        self.settle();
        let data = self.data.get(..length).unwrap_or_default();
        Some(Event::Received {
            address,
            data,
            rssi_dbm,
            snr_db,
        })
    }
}

/// Parse `,rssi,snr` and a carriage return.
fn signal(tail: &[u8]) -> Option<(i16, i8)> {
    let fields = tail.strip_suffix(b"\r")?.strip_prefix(b",")?;
    let comma = fields.iter().position(|byte| *byte == b',')?;
    let (rssi, snr) = (fields.get(..comma)?, fields.get(comma.saturating_add(1)..)?);
    Some((signed(rssi)?, i8::try_from(signed(snr)?).ok()?))
}

fn signed(digits: &[u8]) -> Option<i16> {
    match digits.strip_prefix(b"-") {
        Some(digits) => i16::try_from(number(digits)?).ok()?.checked_neg(),
        None => i16::try_from(number(digits)?).ok(),
    }
}

/// Parse one to five digits whose value fits 16 bits.
fn number(digits: &[u8]) -> Option<u16> {
    if digits.is_empty() || digits.len() > 5 {
        return None;
    }
    digits.iter().try_fold(0_u16, |value, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        value.checked_mul(10)?.checked_add(u16::from(digit))
    })
}
