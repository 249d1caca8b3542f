//! The truncated code that protects commands and answers: the low 32 bits of `SipHash`-2-4 under a key of 128 bits.
//!
//! Thirty-two bits suffice, because each guess costs a frame on air. At ten guesses per second, the chance of success reaches one half after about seven years.

use core::fmt;

use siphasher::sip::SipHasher24;

/// The number of bytes of a code on the wire.
pub const MAC_BYTES: usize = 4;

/// The secret that the gateway and one node share.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 16]);

impl Key {
    /// A key that consists of these bytes.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The code of `bytes`.
    pub fn mac(&self, bytes: &[u8]) -> u32 {
        SipHasher24::new_with_key(&self.0).hash(bytes) as u32
    }
}

/// The output never contains the key.
impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vector of appendix A of the paper: key 00..0f, bytes 00..0e.
    #[test]
    fn the_code_is_that_of_the_paper() {
        let key = Key::new(core::array::from_fn(|index| index as u8));
        let bytes: [u8; 15] = core::array::from_fn(|index| index as u8);
        assert_eq!(key.mac(&bytes), 0xa129_ca61_49be_45e5_u64 as u32);
    }

    /// Debug output contains no byte of the key.
    #[test]
    fn the_key_does_not_show_itself() {
        assert_eq!(std::format!("{:?}", Key::new([7; 16])), "Key(..)");
    }
}
