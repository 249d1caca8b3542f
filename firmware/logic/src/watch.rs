//! Decides whether the watchdog may be fed: only if every task has shown recently that it is alive. So no task can hang unnoticed.

/// A task that was not seen for this time hangs. The longest normal silence is the time to write a whole frame to the module and an image to the display.
pub const PATIENCE_MS: u64 = 6_000;

/// The time at which each of `N` tasks was last seen.
#[derive(Clone, Debug)]
pub struct Watch<const N: usize> {
    seen_ms: [u64; N],
}

impl<const N: usize> Watch<N> {
    /// A watch that has just seen all tasks.
    pub const fn new(now_ms: u64) -> Self {
        Self {
            seen_ms: [now_ms; N],
        }
    }

    /// Record that a task is alive.
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

    /// A single hanging task is enough to stop the feeding.
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
