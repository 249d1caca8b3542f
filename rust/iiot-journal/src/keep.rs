//! How long confirmed frames are kept: a database that is set back by a moment gets them again.

use std::collections::VecDeque;

/// How often a position is noted.
const NOTE_EVERY_MS: i64 = 1000;

/// Times, each with the position up to which everything was confirmed then.
#[derive(Debug, Default)]
pub(crate) struct Keep {
    keep_ms: i64,
    passed: VecDeque<(i64, u64)>,
}

impl Keep {
    pub(crate) fn new(keep_ms: i64) -> Self {
        Self {
            keep_ms,
            passed: VecDeque::new(),
        }
    }

    /// Rows before this position need not be kept any longer.
    pub(crate) fn boundary(&self, now_ms: i64) -> u64 {
        if self.keep_ms == 0 {
            return u64::MAX;
        }
        let old = |&&(at_ms, _): &&(i64, u64)| at_ms <= now_ms - self.keep_ms;
        self.passed
            .iter()
            .take_while(old)
            .last()
            .map_or(0, |&(_, position)| position)
    }

    /// Note the position that is confirmed now.
    pub(crate) fn note(&mut self, now_ms: i64, confirmed: u64) {
        if self.keep_ms == 0 {
            return;
        }
        // A clock that was set back must not keep frames for years.
        if self.passed.back().is_some_and(|&(at_ms, _)| at_ms > now_ms) {
            self.passed.clear();
        }
        let is_due = self.passed.back().is_none_or(|&(at_ms, position)| {
            now_ms - at_ms >= NOTE_EVERY_MS && position != confirmed
        });
        if is_due {
            self.passed.push_back((now_ms, confirmed));
        }
        while self
            .passed
            .get(1)
            .is_some_and(|&(at_ms, _)| at_ms <= now_ms - self.keep_ms)
        {
            self.passed.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A position may go when it has been confirmed for the time, not when its frames are that old.
    #[test]
    fn what_was_confirmed_long_enough_ago_may_go() {
        let mut keep = Keep::new(60_000);
        keep.note(0, 10);
        keep.note(500, 15);
        keep.note(30_000, 20);
        assert_eq!(keep.boundary(59_999), 0);
        assert_eq!(keep.boundary(60_000), 10);
        keep.note(61_000, 20);
        assert_eq!(keep.boundary(90_000), 20);
        assert_eq!(Keep::default().boundary(0), u64::MAX);
    }
}
