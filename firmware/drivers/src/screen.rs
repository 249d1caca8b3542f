//! The SSD1306 of 128x64 pixels as eight lines of sixteen characters.
//!
//! It is written place by place, without a picture in RAM. A display that was away is set up again when it is back.

use core::fmt::Write;

use embedded_hal::i2c::I2c;
use ssd1306::mode::{DisplayConfig, TerminalMode};
use ssd1306::prelude::{DisplayRotation, I2CInterface};
use ssd1306::size::DisplaySize128x64;
use ssd1306::{I2CDisplayInterface, Ssd1306};

/// Characters of a line.
pub const COLUMNS: usize = 16;

/// Lines.
pub const LINES: usize = 8;

/// The display does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silent;

/// One display.
pub struct Screen<I> {
    display: Ssd1306<I2CInterface<I>, DisplaySize128x64, TerminalMode>,
    is_up: bool,
}

impl<I: I2c> Screen<I> {
    /// A display that nobody has spoken to.
    pub fn new(bus: I) -> Self {
        let interface = I2CDisplayInterface::new(bus);
        let display = Ssd1306::new(interface, DisplaySize128x64, DisplayRotation::Rotate0);
        Self {
            display: display.into_terminal_mode(),
            is_up: false,
        }
    }

    /// Show these lines from the top; what is longer is cut, what is left is blank.
    pub fn show(&mut self, lines: &[impl AsRef<str>]) -> Result<(), Silent> {
        let shown = self.try_show(lines);
        self.is_up = shown.is_some();
        shown.ok_or(Silent)
    }

    fn try_show(&mut self, lines: &[impl AsRef<str>]) -> Option<()> {
        if !self.is_up {
            self.display.init().ok()?;
            self.display.clear().ok()?;
        }
        for line in 0..LINES {
            let text = lines.get(line).map_or("", AsRef::as_ref);
            self.display.set_position(0, line as u8).ok()?;
            let blanks = core::iter::repeat(' ');
            for character in text.chars().chain(blanks).take(COLUMNS) {
                self.display.write_char(character).ok()?;
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated::Bus;

    const PICTURE: [&str; 2] = ["27.60 C", "a line that is too long"];

    fn assert_shown(bus: &Bus) {
        assert!(bus.ssd1306.is_on);
        assert_eq!(bus.ssd1306.written(0), "xxxxx x         ");
        assert_eq!(bus.ssd1306.written(1), "x xxxx xxxx xx x");
        for line in 2..LINES {
            assert_eq!(bus.ssd1306.written(line), " ".repeat(COLUMNS));
        }
    }

    /// Text stands where it should, and nothing of the noise in the display's memory stays.
    #[test]
    fn lines_are_shown_and_the_rest_is_blank() {
        let mut bus = Bus::default();
        Screen::new(&mut bus).show(&PICTURE).unwrap();
        assert_shown(&bus);
    }

    /// A longer text before leaves nothing behind.
    #[test]
    fn a_shorter_line_leaves_nothing_of_the_longer_one() {
        let mut bus = Bus::default();
        let mut screen = Screen::new(&mut bus);
        screen.show(&["XXXXXXXXXXXXXXXX"; LINES]).unwrap();
        screen.show(&PICTURE).unwrap();
        assert_shown(&bus);
    }

    /// A display that is absent is told, and one that comes is set up.
    #[test]
    fn an_absent_display_is_told_and_a_new_one_is_set_up() {
        let mut bus = Bus::default();
        bus.ssd1306.is_there = false;
        let mut screen = Screen::new(&mut bus);
        assert_eq!(screen.show(&PICTURE), Err(Silent));
        bus.ssd1306.is_there = true;
        Screen::new(&mut bus).show(&PICTURE).unwrap();
        assert_shown(&bus);
    }
}
