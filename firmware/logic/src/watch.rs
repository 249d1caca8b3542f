//! Who feeds the watchdog: only as long as every task has shown lately that it is alive, so that none can hang unseen.

/// A task that has not been seen for so long hangs. The longest rightful silence is a whole frame to the module and a picture to the display.
pub const PATIENCE_MS: u64 = 6_000;

/// When each of `N` tasks was last seen.
#[derive(Clone, Debug)]
pub struct Watch<const N: usize> {
    seen_ms: [u64; N],
}

impl<const N: usize> Watch<N> {
    /// All were just seen.
    pub const fn new(now_ms: u64) -> Self {
        Self {
            seen_ms: [now_ms; N],
        }
    }

    /// The task shows that it is alive.
    pub fn seen(&mut self, task: usize, now_ms: u64) {
        if let Some(seen_ms) = self.seen_ms.get_mut(task) {
            *seen_ms = now_ms;
        }
    }

    /// Whether the watchdog may be fed.
    pub fn is_well(&self, now_ms: u64) -> bool {
        self.seen_ms
            .iter()
            .all(|seen_ms| now_ms.saturating_sub(*seen_ms) < PATIENCE_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One task that hangs is enough.
    #[test]
    fn one_hanging_task_starves_the_watchdog() {
        let mut watch = Watch::<2>::new(0);
        watch.seen(0, PATIENCE_MS);
        assert!(!watch.is_well(PATIENCE_MS));
        watch.seen(1, PATIENCE_MS);
        assert!(watch.is_well(2 * PATIENCE_MS - 1));
        assert!(!watch.is_well(2 * PATIENCE_MS));
    }
}
