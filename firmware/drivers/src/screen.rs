//! Shows eight lines of sixteen characters on the SSD1306 with its 128x64 pixels.
//!
//! Characters are written one by one, so no image is needed in RAM. If the display was absent, it is set up again when it is back.

use core::fmt::Write;

use embedded_hal::i2c::I2c;
use ssd1306::mode::{DisplayConfig, TerminalMode};
use ssd1306::prelude::{DisplayRotation, I2CInterface};
use ssd1306::size::DisplaySize128x64;
use ssd1306::{I2CDisplayInterface, Ssd1306};

/// The number of characters of a line.
pub const COLUMNS: usize = 16;

/// The number of lines.
pub const LINES: usize = 8;

/// The error if the display does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silent;

/// A display of eight lines.
pub struct Screen<I> {
    display: Ssd1306<I2CInterface<I>, DisplaySize128x64, TerminalMode>,
    is_up: bool,
}

impl<I: I2c> Screen<I> {
    /// A display that is not set up yet.
    pub fn new(bus: I) -> Self {
        let interface = I2CDisplayInterface::new(bus);
        let display = Ssd1306::new(interface, DisplaySize128x64, DisplayRotation::Rotate0);
        Self {
            display: display.into_terminal_mode(),
            is_up: false,
        }
    }

    /// Show these lines from the top. Longer lines are cut off, and the rest of the display is blank.
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

    /// The text is at its place, and the noise in the display's memory is erased.
    #[test]
    fn lines_are_shown_and_the_rest_is_blank() {
        let mut bus = Bus::default();
        Screen::new(&mut bus).show(&PICTURE).unwrap();
        assert_shown(&bus);
    }

    /// A shorter text erases a longer one completely.
    #[test]
    fn a_shorter_line_leaves_nothing_of_the_longer_one() {
        let mut bus = Bus::default();
        let mut screen = Screen::new(&mut bus);
        screen.show(&["XXXXXXXXXXXXXXXX"; LINES]).unwrap();
        screen.show(&PICTURE).unwrap();
        assert_shown(&bus);
    }

    /// An absent display is reported, and a display that appears later is set up.
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
