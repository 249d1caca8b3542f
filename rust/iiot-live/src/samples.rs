//! The last values of a series, thinned in time, for a sparkline.

use std::collections::VecDeque;

/// The samples kept per series.
const MAX_SAMPLES: usize = 120;
/// If values come closer together, only the last one is kept.
const STEP_MS: i64 = 1000;

/// Times in milliseconds since 1970 and values, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    samples: VecDeque<(i64, f64)>,
    /// The time of the last sample when it was added.
    began_ms: i64,
}

impl Samples {
    pub(crate) fn push(&mut self, time_ms: i64, value: f64) {
        if let Some(last) = self.samples.back_mut()
            && time_ms.abs_diff(self.began_ms) < STEP_MS.unsigned_abs()
        {
            *last = (time_ms, value);
            return;
        }
        self.began_ms = time_ms;
        if self.samples.len() == MAX_SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back((time_ms, value));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(i64, f64)> {
        self.samples.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_within_a_second_leave_the_last_of_them() {
        //! A fast source gives one sample per second, each the newest of its second.
        let mut samples = Samples::default();
        for (ms, value) in [(0, 1.0), (400, 2.0), (999, 3.0), (1000, 4.0), (3000, 5.0)] {
            samples.push(ms, value);
        }

        let seen: Vec<_> = samples.iter().copied().collect();

        assert_eq!(seen, [(999, 3.0), (1000, 4.0), (3000, 5.0)]);
    }

    #[test]
    fn the_oldest_samples_go_when_there_are_enough() {
        //! Memory is bounded per series.
        let mut samples = Samples::default();
        for second in 0..500 {
            samples.push(second * 1000, 0.0);
        }

        assert_eq!(samples.iter().count(), MAX_SAMPLES);
        assert_eq!(samples.iter().next().map(|s| s.0), Some(380_000));
    }
}
