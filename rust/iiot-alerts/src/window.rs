//! The values of a moving window as a fixed number of sums: the mean, the change and the rate over it.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The number of parts into which a window is cut. Its edge is exact to one part.
const PARTS: i64 = 60;

/// Sums of the values of the last `width_ns`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Window {
    width_ns: i64,
    parts: VecDeque<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Part {
    /// The number of the part, counted from 1970.
    number: i64,
    count: u64,
    sum: f64,
    first: (i64, f64),
    last: (i64, f64),
}

impl Window {
    pub(crate) fn new(width_ns: i64) -> Self {
        Self {
            width_ns,
            parts: VecDeque::new(),
        }
    }

    /// Whether the sums belong to a window of another width.
    pub(crate) fn is_as_wide_as(&self, width_ns: i64) -> bool {
        self.width_ns == width_ns
    }

    /// Add a value that is not older than the newest one.
    pub(crate) fn push(&mut self, time_ns: i64, value: f64) {
        let number = time_ns.div_euclid(self.part_ns());
        match self.parts.back_mut().filter(|part| part.number == number) {
            Some(part) => {
                part.count += 1;
                part.sum += value;
                part.last = (time_ns, value);
            }
            None => self.parts.push_back(Part {
                number,
                count: 1,
                sum: value,
                first: (time_ns, value),
                last: (time_ns, value),
            }),
        }
        self.forget(time_ns);
    }

    /// Drop values that are older than the window.
    pub(crate) fn forget(&mut self, now_ns: i64) {
        let oldest = (now_ns.saturating_sub(self.width_ns)).div_euclid(self.part_ns());
        while self.parts.front().is_some_and(|part| part.number <= oldest) {
            self.parts.pop_front();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub(crate) fn mean(&self) -> Option<f64> {
        let count: u64 = self.parts.iter().map(|part| part.count).sum();
        let sum: f64 = self.parts.iter().map(|part| part.sum).sum();
        (count > 0).then(|| sum / count as f64)
    }

    /// By how much the newest value differs from the oldest.
    pub(crate) fn change(&self) -> Option<f64> {
        Some(self.parts.back()?.last.1 - self.parts.front()?.first.1)
    }

    /// The change per this many seconds, once the values cover half of the window.
    pub(crate) fn rate(&self, per_s: f64) -> Option<f64> {
        let (from, before) = self.parts.front()?.first;
        let (until, now) = self.parts.back()?.last;
        let covered = until - from;
        (covered > 0 && covered >= self.width_ns / 2)
            .then(|| (now - before) / (covered as f64 / 1e9) * per_s)
    }

    fn part_ns(&self) -> i64 {
        (self.width_ns / PARTS).max(1)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: i64 = 1_000_000_000;

    proptest! {
        /// The mean is that of the values of the window, whose edge lies between its width and a sixtieth less; the parts stay few.
        #[test]
        fn the_mean_is_that_of_the_window(steps in prop::collection::vec((0i64..20, -50i32..50), 1..200)) {
            let mut window = Window::new(600 * SECOND);
            let (mut now, mut all) = (1_700_000_000 * SECOND, Vec::new());
            for (step, value) in steps {
                now += step * SECOND;
                all.push((now, f64::from(value)));
                window.push(now, f64::from(value));
                let within = |edge: i64| -> Vec<f64> { all.iter().filter(|(t, _)| *t > now - edge).map(|(_, v)| *v).collect() };
                let count: u64 = window.parts.iter().map(|part| part.count).sum();
                prop_assert!((within(590 * SECOND).len()..=within(600 * SECOND).len()).contains(&(count as usize)));
                prop_assert!(window.parts.len() <= 60);
                let newest: Vec<f64> = all.iter().rev().take(count as usize).map(|(_, v)| *v).collect();
                let mean = newest.iter().sum::<f64>() / newest.len() as f64;
                prop_assert!((window.mean().unwrap() - mean).abs() < 1e-9);
            }
        }
    }

    /// It needs half of the window, and counts what lies within it.
    #[test]
    fn the_rate_is_the_change_over_the_time_covered() {
        let mut window = Window::new(60 * SECOND);
        assert_eq!((window.mean(), window.rate(1.0)), (None, None));
        window.push(0, 5.0);
        window.push(29 * SECOND, 34.0);
        assert_eq!(window.rate(1.0), None);
        window.push(30 * SECOND, 35.0);
        assert_eq!(window.rate(60.0), Some(60.0));
        window.push(89 * SECOND, 35.0);
        assert_eq!(window.rate(1.0), Some(0.0));
        window.forget(200 * SECOND);
        assert!(window.is_empty());
    }
}
