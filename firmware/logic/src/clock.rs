//! Counts the milliseconds since the start in 64 bits, from a counter that has 32 bits and overflows after 49 days.

/// The last value of the counter, and the number of its overflows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    last: u32,
    rounds: u32,
}

impl Clock {
    /// A clock at the start.
    pub const fn new() -> Self {
        Self { last: 0, rounds: 0 }
    }

    /// Convert a value of the counter. Call this at least once per overflow period, and never with an older value after a newer one.
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

    /// The time continues when the counter overflows.
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
