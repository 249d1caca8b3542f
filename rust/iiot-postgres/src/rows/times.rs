//! Converts nanoseconds to microseconds, rounded down; but different times of one frame and series stay different.

/// The times of the points of one frame.
#[derive(Debug, Default)]
pub(crate) struct FrameTimes {
    /// Series, nanoseconds, microseconds.
    given: Vec<(u64, i64, i64)>,
}

impl FrameTimes {
    pub(crate) fn begin_frame(&mut self) {
        self.given.clear();
    }

    /// The microseconds of a point. They depend only on points of the same frame, so that a frame always gives the same times.
    pub(crate) fn place(&mut self, series: u64, time_ns: i64) -> i64 {
        let floor = time_ns.div_euclid(1000);
        let of_series = || self.given.iter().filter(|given| given.0 == series);
        if let Some(same) = of_series().find(|given| given.1 == time_ns) {
            return same.2;
        }
        let mut placed = floor;
        while of_series().any(|given| given.2 == placed) {
            placed += 1;
        }
        self.given.push((series, time_ns, placed));
        placed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times that differ below a microsecond stay apart within a series and frame, and equal times stay equal.
    #[test]
    fn distinct_times_stay_distinct() {
        let mut times = FrameTimes::default();
        times.begin_frame();
        let given: Vec<i64> = [1000, 1001, 1999, 1001, 3000]
            .into_iter()
            .map(|ns| times.place(7, ns))
            .collect();
        assert_eq!(given, [1, 2, 3, 2, 4]);
        assert_eq!(times.place(8, 1999), 1);
        times.begin_frame();
        assert_eq!(times.place(7, 1999), 1);
        assert_eq!(times.place(7, -1), -1);
    }
}
