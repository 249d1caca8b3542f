//! The truncated code that protects commands and answers: `SipHash`-2-4 under a key of 128 bits, its low 32 bits.
//!
//! Thirty-two bits suffice because a guess costs a frame on air: at ten a second, the even chance comes after some seven years.

use core::fmt;

use siphasher::sip::SipHasher24;

/// Bytes of a code on the wire.
pub const MAC_BYTES: usize = 4;

/// The secret that the gateway and one node share.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 16]);

impl Key {
    /// A key of these bytes.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The code of `bytes`.
    pub fn mac(&self, bytes: &[u8]) -> u32 {
        SipHasher24::new_with_key(&self.0).hash(bytes) as u32
    }
}

/// The key never shows itself.
impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the paper's appendix A: key 00..0f, bytes 00..0e.
    #[test]
    fn the_code_is_that_of_the_paper() {
        let key = Key::new(core::array::from_fn(|index| index as u8));
        let bytes: [u8; 15] = core::array::from_fn(|index| index as u8);
        assert_eq!(key.mac(&bytes), 0xa129_ca61_49be_45e5_u64 as u32);
    }

    /// Debug output holds no byte of it.
    #[test]
    fn the_key_does_not_show_itself() {
        assert_eq!(std::format!("{:?}", Key::new([7; 16])), "Key(..)");
    }
}
