//! Simulated chips of the nodes' bus, for tests. They follow the data sheets, not the drivers.

use core::fmt::Write;
use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::{self, ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};
use std::string::String;
use std::vec::Vec;

/// A delay that takes no time.
pub struct NoDelay;

impl DelayNs for NoDelay {
    fn delay_ns(&mut self, _: u32) {}
}

/// The error if no chip acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nack;

impl i2c::Error for Nack {
    fn kind(&self) -> ErrorKind {
        ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address)
    }
}

/// A simulated SHT31.
pub struct Sht3x {
    pub is_there: bool,
    /// The bits to flip in the first byte of the next answer.
    pub damage: u8,
    raw: (u16, u16),
}

impl Sht3x {
    pub fn set(&mut self, celsius: f64, percent: f64) {
        self.raw = (
            ((celsius + 45.0) / 175.0 * 65_535.0).round() as u16,
            (percent / 100.0 * 65_535.0).round() as u16,
        );
    }

    fn answer(&self) -> [u8; 6] {
        // This checksum comes from a polynomial division of the three bytes, unlike the driver's shifts.
        let with_crc = |raw: u16| {
            let [high, low] = (raw ^ 0xFF00).to_be_bytes();
            let mut rest = u32::from(high) << 16 | u32::from(low) << 8;
            for bit in (8..24).rev() {
                if rest & 1 << bit != 0 {
                    rest ^= 0x131 << (bit - 8);
                }
            }
            let [high, low] = raw.to_be_bytes();
            [high, low, rest as u8]
        };
        let mut answer = [0; 6];
        answer[..3].copy_from_slice(&with_crc(self.raw.0));
        answer[3..].copy_from_slice(&with_crc(self.raw.1));
        answer[0] ^= self.damage;
        answer
    }
}

/// The raw values of a BME680's converters.
pub struct Raw {
    pub temperature: u32,
    pub pressure: u32,
    pub humidity: u16,
    pub gas: u16,
    pub range: u8,
    pub is_stable: bool,
}

/// A simulated BME680.
pub struct Bme680 {
    pub is_there: bool,
    pub never_ends: bool,
    /// Whether the registers stay unchanged when a measurement starts.
    pub is_noise: bool,
    pub registers: [u8; 256],
    pub raw: Raw,
}

impl Bme680 {
    fn write(&mut self, register: u8, value: u8) {
        self.registers[usize::from(register)] = value;
        if register == 0x74 && value & 0b11 == 0b01 && !self.is_noise {
            self.registers[0x74] &= !0b11;
            let raw = &self.raw;
            let field = &mut self.registers[0x1D..0x2C];
            field[0] = if self.never_ends { 0x20 } else { 0x80 };
            for (at, value) in [(2, raw.pressure), (5, raw.temperature)] {
                let [_, high, middle, low] = (value << 4).to_be_bytes();
                field[at..at + 3].copy_from_slice(&[high, middle, low]);
            }
            field[8..10].copy_from_slice(&raw.humidity.to_be_bytes());
            let stable = if raw.is_stable { 0x30 } else { 0x20 };
            field[13] = (raw.gas >> 2) as u8;
            field[14] = (raw.gas << 6) as u8 | stable | raw.range;
        }
    }
}

/// A simulated SSD1306 with its memory: pages of eight rows, one byte per column.
pub struct Ssd1306 {
    pub is_there: bool,
    pub is_on: bool,
    pub pixels: [[u8; 128]; 8],
    page: usize,
    column: usize,
    is_horizontal: bool,
    awaits: Option<(u8, usize)>,
}

impl Ssd1306 {
    fn write(&mut self, bytes: &[u8]) {
        let (control, bytes) = bytes.split_first().unwrap();
        for &byte in bytes {
            if *control == 0x40 {
                self.pixels[self.page][self.column] = byte;
                self.column = (self.column + 1) % 128;
                if self.column == 0 && self.is_horizontal {
                    self.page = (self.page + 1) % 8;
                }
            } else {
                self.command(byte);
            }
        }
    }

    fn command(&mut self, byte: u8) {
        if let Some((command, left)) = self.awaits.take() {
            match command {
                0x20 => self.is_horizontal = byte == 0,
                0x21 if left == 2 => self.column = usize::from(byte),
                0x22 if left == 2 => self.page = usize::from(byte),
                _ => {}
            }
            self.awaits = (left > 1).then(|| (command, left - 1));
            return;
        }
        match byte {
            0x00..=0x0F => self.column = self.column & 0xF0 | usize::from(byte),
            0x10..=0x1F => self.column = self.column & 0x0F | usize::from(byte & 0x0F) << 4,
            0xB0..=0xB7 => self.page = usize::from(byte & 7),
            0xAE | 0xAF => self.is_on = byte == 0xAF,
            0x21 | 0x22 => self.awaits = Some((byte, 2)),
            0x20 | 0x81 | 0x8D | 0xA8 | 0xD3 | 0xD5 | 0xD9 | 0xDA | 0xDB => {
                self.awaits = Some((byte, 1));
            }
            _ => {}
        }
    }

    /// Shows which of the sixteen places of a line are not blank.
    pub fn written(&self, line: usize) -> String {
        self.pixels[line]
            .chunks(8)
            .map(|place| {
                if place.iter().all(|byte| *byte == 0) {
                    ' '
                } else {
                    'x'
                }
            })
            .collect()
    }
}

/// The bus with all chips.
pub struct Bus {
    pub ssd1306: Ssd1306,
    pub sht3x: Sht3x,
    pub bme680: Bme680,
    /// All writes and reads, as text.
    pub trace: Vec<String>,
    pointer: u8,
}

impl Default for Bus {
    fn default() -> Self {
        let mut sht3x = Sht3x {
            is_there: true,
            damage: 0,
            raw: (0, 0),
        };
        sht3x.set(25.0, 50.0);
        // The calibration of a real chip, by registers: 0x8A to 0xA0, 0xE1 to 0xEE, 0x00 to 0x04.
        let mut registers = [0; 256];
        registers[0x8A..0xA1].copy_from_slice(&[
            179, 193, 176, 188, 21, 51, 11, 29, 222, 179, 184, 1, 230, 47, 209, 22, 154, 34, 237,
            70, 148, 134, 44,
        ]);
        registers[0x8A..0x8D].copy_from_slice(&[0x3A, 0x67, 3]);
        registers[0x8E..0x92].copy_from_slice(&[0x2B, 0x8E, 0x9D, 0xD6]);
        registers[0x92] = 88;
        registers[0x94..0x98].copy_from_slice(&[0x9F, 0x1B, 0x54, 0xFF]);
        registers[0x98..0x9A].copy_from_slice(&[41, 30]);
        registers[0x9C..0xA1].copy_from_slice(&[0x0E, 0xF6, 0x75, 0xF6, 30]);
        registers[0xE1..0xEF].copy_from_slice(&[
            0x3F, 0x6A, 0x2F, 0, 45, 20, 120, 0x9C, 0x59, 0x65, 0x85, 0xEE, 0xD6, 18,
        ]);
        registers[..5].copy_from_slice(&[45, 0, 0x16, 0, 0x13]);
        registers[0xD0] = 0x61;
        let raw = Raw {
            temperature: 500_000,
            pressure: 340_000,
            humidity: 20_000,
            gas: 700,
            range: 5,
            is_stable: true,
        };
        let ssd1306 = Ssd1306 {
            is_there: true,
            is_on: false,
            pixels: [[0xA5; 128]; 8],
            page: 0,
            column: 0,
            is_horizontal: false,
            awaits: None,
        };
        Self {
            ssd1306,
            sht3x,
            bme680: Bme680 {
                is_there: true,
                never_ends: false,
                is_noise: false,
                registers,
                raw,
            },
            trace: Vec::new(),
            pointer: 0,
        }
    }
}

impl Bus {
    fn write(&mut self, address: u8, bytes: &[u8]) -> Result<(), Nack> {
        let mut line = std::format!("w{address:02x} ");
        for byte in bytes {
            write!(line, "{byte:02x}").unwrap();
        }
        self.trace.push(line);
        match address {
            0x3C if self.ssd1306.is_there => {
                self.ssd1306.write(bytes);
                Ok(())
            }
            0x44 if self.sht3x.is_there => Ok(()),
            0x76 if self.bme680.is_there => {
                self.pointer = bytes[0];
                for pair in bytes.chunks_exact(2) {
                    self.bme680.write(pair[0], pair[1]);
                }
                Ok(())
            }
            _ => Err(Nack),
        }
    }

    fn read(&mut self, address: u8, buffer: &mut [u8]) -> Result<(), Nack> {
        self.trace
            .push(std::format!("r{address:02x} {}", buffer.len()));
        match address {
            0x44 if self.sht3x.is_there => {
                buffer.copy_from_slice(&self.sht3x.answer()[..buffer.len()]);
                Ok(())
            }
            0x76 if self.bme680.is_there => {
                let from = usize::from(self.pointer);
                buffer.copy_from_slice(&self.bme680.registers[from..from + buffer.len()]);
                Ok(())
            }
            _ => Err(Nack),
        }
    }
}

impl ErrorType for Bus {
    type Error = Nack;
}

impl I2c for Bus {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), Nack> {
        operations
            .iter_mut()
            .try_for_each(|operation| match operation {
                Operation::Write(bytes) => self.write(address, bytes),
                Operation::Read(buffer) => self.read(address, buffer),
            })
    }
}
