//! Milliseconds since the start in 64 bits, from a counter that has 32 and begins anew after 49 days.

/// The counter as it was last seen, and how often it has begun anew.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    last: u32,
    rounds: u32,
}

impl Clock {
    /// At the start.
    pub const fn new() -> Self {
        Self { last: 0, rounds: 0 }
    }

    /// Take what the counter says, at least once a round and never an older value after a newer one.
    pub fn widen(&mut self, counter: u32) -> u64 {
        if counter < self.last {
            self.rounds = self.rounds.wrapping_add(1);
        }
        self.last = counter;
        u64::from(self.rounds) << 32 | u64::from(counter)
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;

    /// Time goes on where the counter begins anew.
    #[test]
    fn time_goes_on_when_the_counter_begins_anew() {
        let mut clock = Clock::new();
        assert_eq!(clock.widen(5), 5);
        assert_eq!(clock.widen(u32::MAX), u64::from(u32::MAX));
        assert_eq!(clock.widen(2), (1 << 32) + 2);
        assert_eq!(clock.widen(2), (1 << 32) + 2);
        assert_eq!(clock.widen(1), (2 << 32) + 1);
    }
}
