//! The block that a node keeps in RAM over a reset: the number of its starts, and the content of its duty bucket.
//!
//! The RAM survives every reset, but not a loss of power. After a loss of power it contains noise, which the checksum detects.
//!
//! ```text
//!  0        4               12    14
//!  starts   duty level us   crc
//! ```

use iiot_proto::crc::crc16;

/// The content of the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Retained {
    /// The number of starts since the power was switched on.
    pub starts: u32,
    /// The content of the duty bucket, in microseconds of time on air.
    pub duty_level_us: u64,
}

impl Retained {
    /// The number of bytes of the block.
    pub const BYTES: usize = 14;
    const COVERED_BYTES: usize = 12;

    /// Read the block; `None` if it contains noise.
    pub fn read(block: &[u8; Self::BYTES]) -> Option<Self> {
        let (covered, crc) = block.split_first_chunk::<{ Self::COVERED_BYTES }>()?;
        let (starts, level) = covered.split_first_chunk()?;
        // A block of zeros would pass a checksum whose initial value is zero. Here the initial value is all ones.
        (crc == crc16(covered).to_le_bytes()).then_some(Self {
            starts: u32::from_le_bytes(*starts),
            duty_level_us: u64::from_le_bytes(level.try_into().ok()?),
        })
    }

    /// Write the block.
    pub fn write(self, block: &mut [u8; Self::BYTES]) {
        let (covered, crc) = block.split_at_mut(Self::COVERED_BYTES);
        let (starts, level) = covered.split_at_mut(4);
        starts.copy_from_slice(&self.starts.to_le_bytes());
        level.copy_from_slice(&self.duty_level_us.to_le_bytes());
        crc.copy_from_slice(&crc16(covered).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A written block is read again. A block with one changed bit, a block of zeros and a block of ones are noise.
    #[test]
    fn noise_is_told_from_what_was_kept() {
        let kept = Retained {
            starts: 7,
            duty_level_us: 60_000_000_123,
        };
        let mut block = [0; Retained::BYTES];
        assert_eq!(Retained::read(&block), None);
        assert_eq!(Retained::read(&[0xFF; Retained::BYTES]), None);
        kept.write(&mut block);
        assert_eq!(Retained::read(&block), Some(kept));
        for bit in 0..Retained::BYTES * 8 {
            let mut damaged = block;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Retained::read(&damaged), None, "bit {bit}");
        }
    }
}
