//! A 64-bit fingerprint that is the same on every machine and in every version: it is stored in journals.
//!
//! Eight bytes at a time are folded in by a 64x64 -> 128 bit multiplication, the halves of which are added without carry (the mixing step of
//! wyhash). It is not meant to resist a deliberate search for collisions.

use std::hash::Hasher;

const SEED: u64 = 0xa076_1d64_78bd_642f;
const FACTOR: u64 = 0xe703_7ed1_a0b4_28db;

fn mix(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    product as u64 ^ (product >> 64) as u64
}

/// The fingerprint of `bytes`.
pub fn fingerprint(bytes: &[u8]) -> u64 {
    let mut state = SEED ^ bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = mix(state ^ u64::from_le_bytes(*word), FACTOR);
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    state = mix(state ^ u64::from_le_bytes(last), FACTOR);
    mix(state ^ SEED, FACTOR)
}

/// A hasher for sets of fingerprints, which need no more hashing.
#[derive(Debug, Default)]
pub(crate) struct AsIs(u64);

impl Hasher for AsIs {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = fingerprint(bytes);
    }
    fn write_u64(&mut self, fingerprint: u64) {
        self.0 = fingerprint;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    #[test]
    fn fingerprints_never_change() {
        //! These values are in stored journals.
        assert_eq!(fingerprint(b""), VALUES[0]);
        assert_eq!(fingerprint(b"{\"t\":27.6}"), VALUES[1]);
    }

    const VALUES: [u64; 2] = [9_453_038_937_549_525_072, 7_236_706_733_734_598_304];

    #[test]
    fn neighbours_differ() {
        //! Length, order and every byte count.
        let texts: [&[u8]; 6] = [b"", b"\0", b"\0\0", b"ab", b"ba", b"abcdefghi"];
        for (index, left) in texts.iter().enumerate() {
            for right in &texts[index + 1..] {
                assert_ne!(fingerprint(left), fingerprint(right));
            }
        }
    }
}
