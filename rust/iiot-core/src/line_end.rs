//! The end of a line: a space, the time, a line feed. It is made once for all lines of a document.

/// From here on, in nanoseconds: the years 2001 to 2286.
const NINETEEN_DIGITS: u64 = 1_000_000_000_000_000_000;

/// A line's end: a space, the time, a line feed.
pub(crate) struct Tail {
    pub(crate) block: [u8; Tail::SIZE],
    pub(crate) length: usize,
}

impl Tail {
    const SIZE: usize = 32;

    pub(crate) fn new(time_ns: i64) -> Self {
        // Twenty-four digits from byte 8 on, and the line feed behind them; the tail begins before the first significant digit.
        const DIGITS: usize = 8;
        const END: usize = DIGITS + 24;
        let time = time_ns.unsigned_abs();
        let mut text = [0; END + Self::SIZE];
        let parts = [
            time / 10_000_000_000_000_000,
            time / 100_000_000 % 100_000_000,
            time % 100_000_000,
        ];
        for (to, part) in text.chunks_exact_mut(8).skip(1).zip(parts) {
            to.copy_from_slice(&eight_digits(part));
        }
        let zeros = if (NINETEEN_DIGITS..10 * NINETEEN_DIGITS).contains(&time) {
            5
        } else {
            text.iter()
                .skip(DIGITS)
                .take_while(|digit| **digit == b'0')
                .count()
                .min(23)
        };
        let mut start = DIGITS + zeros;
        for (at, byte) in [
            (END, b'\n'),
            (start - 1, if time_ns < 0 { b'-' } else { b' ' }),
        ] {
            if let Some(to) = text.get_mut(at) {
                *to = byte;
            }
        }
        start -= 1;
        if time_ns < 0 {
            start -= 1;
            if let Some(to) = text.get_mut(start) {
                *to = b' ';
            }
        }
        let block = text
            .get(start..)
            .and_then(<[u8]>::first_chunk)
            .copied()
            .unwrap_or([b' '; Self::SIZE]);
        Self {
            block,
            length: END + 1 - start,
        }
    }

    pub(crate) fn text(&self) -> &[u8] {
        self.block.get(..self.length).unwrap_or_default()
    }
}

/// The digits of a number below 10^8, with leading zeros. Halves, quarters and single digits are divided in parallel, in the lanes of
/// one word.
fn eight_digits(number: u64) -> [u8; 8] {
    let halves = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((halves * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let pairs = hundreds | ((halves - hundreds * 100) << 16);
    let tens = ((pairs * 103) >> 10) & 0x000f_000f_000f_000f;
    let digits = tens | ((pairs - tens * 10) << 8);
    (digits | 0x3030_3030_3030_3030).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::{Tail, eight_digits};

    #[test]
    fn times_are_written_digit_for_digit() {
        //! As the standard library writes them, for every length and sign.
        let mut time: i64 = 1;
        while let Some(next) = time.checked_mul(7) {
            for value in [time, -time, time - 1, time + 1] {
                assert_eq!(Tail::new(value).text(), format!(" {value}\n").as_bytes());
            }
            time = next;
        }
        for value in [0, i64::MIN, i64::MAX, 1_000_000_000_000_000_000] {
            assert_eq!(Tail::new(value).text(), format!(" {value}\n").as_bytes());
        }
    }

    #[test]
    fn eight_digits_are_right() {
        //! Compared over the whole range in steps.
        for number in (0..100_000_000).step_by(9_973).chain([99_999_999]) {
            assert_eq!(
                eight_digits(number),
                *format!("{number:08}")
                    .as_bytes()
                    .first_chunk::<8>()
                    .unwrap()
            );
        }
    }
}
