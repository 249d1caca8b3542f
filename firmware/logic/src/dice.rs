//! Random numbers for retries and boot ids, from a small generator that the board seeds with its noise.

/// A random number generator (splitmix64), which is not suitable for secrets.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// A generator with this seed. The same seed gives the same numbers.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A random number of 32 bits.
    pub fn bits(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    /// Neighbouring seeds, such as those from a counter, lead to unrelated boot ids.
    #[test]
    fn neighbouring_seeds_give_different_boot_ids() {
        let mut boots: std::vec::Vec<u16> =
            (0..200).map(|seed| Dice::new(seed).bits() as u16).collect();
        boots.sort_unstable();
        boots.dedup();
        assert!(boots.len() >= 198, "{} of 200", boots.len());
    }
}
