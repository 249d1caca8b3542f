//! Times are distinct and repeats are known, within and beyond the bounds.

use super::*;
use proptest::prelude::*;

const NOON: i64 = 1_780_272_000_000;

fn key(series: u64, fields: u16) -> PointKey {
    PointKey {
        series,
        fields,
        time: None,
        later_ms: 0,
    }
}

/// Accept a value with a time of its own; returns the time that it was given.
fn give(times: &mut SeriesTimes, point: PointKey, own_ms: i64, document: u64) -> i64 {
    let mut delta = TimesDelta::default();
    let shift = times.shift_ms(&delta, &[point], own_ms * STEP_NS);
    let value = GivenTime {
        own_ms,
        given_ms: own_ms + shift,
        received_ms: NOON,
        document,
        fields: point.fields,
    };
    times.give(&mut delta, &point, value);
    times.merge(delta, NOON * STEP_NS);
    own_ms + shift
}

/// Five hundred values of one second: far more than are remembered.
#[test]
fn values_of_one_second_all_get_times_of_their_own() {
    let mut times = SeriesTimes::new(60_000, None);
    for n in 0..500 {
        assert_eq!(give(&mut times, key(7, 1), NOON, n), NOON + n as i64);
    }
    // The next second is not pushed on by the one before.
    assert_eq!(give(&mut times, key(7, 1), NOON + 1_000, 0), NOON + 1_000);
}

/// A device whose clock goes in milliseconds sends many values in each of them: those of one push on those of the next.
#[test]
fn crowded_milliseconds_push_each_other_on() {
    let mut times = SeriesTimes::new(60_000, None);
    let mut given = std::collections::HashSet::new();
    for n in 0..500 {
        let own_ms = NOON + n / 25;
        assert!(
            given.insert(give(&mut times, key(7, 1), own_ms, n as u64)),
            "{n}"
        );
    }
    let mut stored = SeriesTimes::new(60_000, None);
    for (series, entry) in times.entries(NOON * STEP_NS) {
        stored.replay(series, entry);
    }
    assert_eq!(give(&mut stored, key(7, 1), NOON + 3, 0), NOON + 500);
    assert_eq!(give(&mut stored, key(7, 2), NOON + 3, 0), NOON + 3);
}

/// Another field or another series has room at the same time.
#[test]
fn only_the_same_field_of_the_same_series_moves() {
    let mut times = SeriesTimes::new(60_000, None);
    assert_eq!(give(&mut times, key(7, 1), NOON, 1), NOON);
    assert_eq!(give(&mut times, key(7, 2), NOON, 2), NOON);
    assert_eq!(give(&mut times, key(8, 1), NOON, 3), NOON);
    assert_eq!(give(&mut times, key(7, 3), NOON, 4), NOON + 1);
}

/// Eighty thousand documents of as many devices in one second do not run ahead of the clock.
#[test]
fn stamps_are_distinct_per_series() {
    let times = SeriesTimes::new(60_000, None);
    let mut delta = TimesDelta::default();
    let clock = NOON * STEP_NS;
    for series in 0..10_000 {
        assert_eq!(
            times.stamp(&mut delta, &[key(series, 1)], clock, STEP_NS, false),
            clock
        );
    }
    assert_eq!(
        times.stamp(&mut delta, &[key(5, 1), key(6, 1)], clock, STEP_NS, false),
        clock + STEP_NS
    );
    assert_eq!(
        times.stamp(
            &mut delta,
            &[key(6, 1), key(99_999, 1)],
            clock,
            STEP_NS,
            false
        ),
        clock + 2 * STEP_NS
    );
}

/// Further series than are remembered are counted, and none that is remembered is forgotten for them.
#[test]
fn what_is_not_remembered_is_counted() {
    let mut times = SeriesTimes::new(60_000, None);
    let mut delta = TimesDelta::default();
    let clock = NOON * STEP_NS;
    for series in 0..MAX_SERIES as u64 + 10 {
        times.stamp(&mut delta, &[key(series, 1)], clock, STEP_NS, false);
    }
    assert_eq!(delta.not_remembered, 10);
    times.merge(delta, clock);
    let mut delta = TimesDelta::default();
    assert_eq!(
        times.stamp(&mut delta, &[key(0, 1)], clock, STEP_NS, false),
        clock + STEP_NS
    );
    // An hour later they are old, and there is room again.
    let later = clock + 3_600_000 * STEP_NS;
    times.merge(delta, later);
    let mut delta = TimesDelta::default();
    times.stamp(&mut delta, &[key(u64::MAX, 1)], later, STEP_NS, false);
    assert_eq!(delta.not_remembered, 0);
}

/// A host clock that was set back counts from there.
#[test]
fn a_clock_that_was_set_back_starts_anew() {
    let mut times = SeriesTimes::new(60_000, Some(NOON * STEP_NS));
    let mut delta = TimesDelta::default();
    let clock = NOON * STEP_NS;
    assert_eq!(
        times.stamp(&mut delta, &[key(1, 1)], clock, STEP_NS, false),
        clock + STEP_NS
    );
    times.merge(delta, clock);
    let earlier = clock - 3_600_000 * STEP_NS;
    let mut delta = TimesDelta::default();
    times.fell_back(&mut delta);
    for point in [key(1, 1), key(2, 1)] {
        assert_eq!(
            times.stamp(&mut delta, &[point], earlier, STEP_NS, false),
            earlier
        );
    }
    assert_eq!(
        times.stamp(&mut delta, &[key(1, 1)], earlier, STEP_NS, false),
        earlier + STEP_NS
    );
}

/// A value that was accepted is a repeat when it comes again, however many came in between, and another one of its time moves.
#[test]
fn nothing_is_forgotten_within_the_window() {
    let mut times = SeriesTimes::new(3_600_000, None);
    for n in 0..20_000_u64 {
        give(&mut times, key(7, 1), NOON + n as i64 / 4 * 1_000, n + 1);
    }
    let mut stored = SeriesTimes::new(3_600_000, None);
    for (series, entry) in times.entries(NOON * STEP_NS) {
        stored.replay(series, entry);
    }
    for times in [&mut times, &mut stored] {
        let delta = TimesDelta::default();
        let is_repeat = |document: u64, own_ms: i64, tolerance_ms: u64, at_ms: i64| {
            times.is_repeat(&delta, &key(7, 1), document, own_ms, tolerance_ms, at_ms)
        };
        for n in [0, 1, 3, 4, 9_999, 19_999] {
            let own_ms = NOON + n as i64 / 4 * 1_000;
            assert!(is_repeat(n + 1, own_ms, 0, NOON + 3_600_000));
            assert!(is_repeat(n + 1, own_ms - 2_000, 2_000, NOON));
            assert!(!is_repeat(n + 1, own_ms - 2_001, 2_000, NOON));
            assert!(!is_repeat(n + 1, own_ms + 1, 0, NOON));
            assert!(!is_repeat(n + 1, own_ms, 0, NOON + 3_600_001));
        }
        assert_eq!(give(times, key(7, 1), NOON, 0), NOON + 4);
        assert_eq!(give(times, key(7, 2), NOON, 0), NOON);
    }
}

/// Once the bound is reached, the oldest values of a series are forgotten and counted, but each series keeps a few. What has left the window makes room.
#[test]
fn beyond_the_bound_the_oldest_go_and_are_counted() {
    let mut times = SeriesTimes {
        max_values: 1_000,
        ..SeriesTimes::new(60_000, None)
    };
    let mut counted = 0;
    let mut accept = |times: &mut SeriesTimes, series: u64, n: i64, at_ms: i64| {
        let mut delta = TimesDelta::default();
        let value = GivenTime {
            own_ms: NOON + n,
            given_ms: NOON + n,
            received_ms: at_ms,
            document: n as u64 + 1,
            fields: 1,
        };
        times.give(&mut delta, &key(series, 1), value);
        counted += delta.not_remembered;
        times.merge(delta, at_ms * STEP_NS);
        counted
    };
    for n in 0..1_000 {
        assert_eq!(accept(&mut times, 1, n, NOON), 0);
    }
    // A second series keeps its newest, and none of the first is forgotten for it.
    for n in 0..LEAST_VALUES as i64 {
        assert_eq!(accept(&mut times, 2, n, NOON), 0);
    }
    for n in 0..20 {
        assert_eq!(accept(&mut times, 2, 100 + n, NOON), n as u64 + 1);
    }
    assert_eq!(accept(&mut times, 1, 1_000, NOON), 21);
    let is_known = |times: &SeriesTimes, series: u64, n: i64| {
        let delta = TimesDelta::default();
        times.is_repeat(&delta, &key(series, 1), n as u64 + 1, NOON + n, 0, NOON)
    };
    assert!(!is_known(&times, 1, 0) && is_known(&times, 1, 1));
    assert!(!is_known(&times, 2, 103) && is_known(&times, 2, 104));
    assert_eq!(times.values, 1_000 + LEAST_VALUES);

    // A minute later there is room again, for a third series too.
    let later = NOON + 60_001;
    for n in 0..500 {
        assert_eq!(accept(&mut times, 3, n, later), 21);
    }
    assert_eq!(times.values, 500);
}

/// A group of documents that is larger than all that may be held keeps the newest.
#[test]
fn one_group_may_be_larger_than_the_bound() {
    let mut times = SeriesTimes {
        max_values: 100,
        ..SeriesTimes::new(60_000, None)
    };
    for group in 0..3_u64 {
        let mut delta = TimesDelta::default();
        for n in 0..1_000 {
            let own_ms = NOON + group as i64 * 1_000 + n;
            let value = GivenTime {
                own_ms,
                given_ms: own_ms,
                received_ms: NOON,
                document: own_ms as u64,
                fields: 1,
            };
            times.give(&mut delta, &key(1, 1), value);
        }
        assert_eq!(delta.not_remembered, if group == 0 { 900 } else { 1_000 });
        times.merge(delta, NOON * STEP_NS);
        assert_eq!(times.values, 100);
        let delta = TimesDelta::default();
        for (n, is_known) in [(899, false), (900, true), (999, true)] {
            let own_ms = NOON + group as i64 * 1_000 + n;
            assert_eq!(
                times.is_repeat(&delta, &key(1, 1), own_ms as u64, own_ms, 0, NOON),
                is_known
            );
        }
    }
}

/// Values that came late and lie behind others of the window leave it all the same.
#[test]
fn what_has_left_the_window_takes_no_room() {
    let mut times = SeriesTimes::new(60_000, None);
    for n in 0..100_000_i64 {
        let at_ms = NOON + n * 100;
        // The oldest own time comes again and again, and half of the others are in reverse.
        let own_ms = if n % 100 == 0 {
            0
        } else if n % 2 == 0 {
            at_ms
        } else {
            NOON - n
        };
        let mut delta = TimesDelta::default();
        let point = key(1, 1);
        let shift_ms = times.shift_ms(&delta, &[point], own_ms * STEP_NS);
        let value = GivenTime {
            own_ms,
            given_ms: own_ms + shift_ms,
            received_ms: at_ms,
            document: 1,
            fields: 1,
        };
        times.give(&mut delta, &point, value);
        times.merge(delta, at_ms * STEP_NS);
    }
    // Six hundred came within the last minute.
    assert!(times.values <= 1_300, "{}", times.values);
}

proptest! {
    /// No two values of one field and series get one time; what is stored goes on as if nothing had been stopped.
    #[test]
    fn times_are_distinct(
        steps in proptest::collection::vec((0..3_u64, 1..8_u16, 0..4_i64, any::<bool>(), proptest::bool::weighted(0.05)), 1..400),
    ) {
        let mut times = SeriesTimes::new(60_000, None);
        let mut log = Vec::new();
        let mut accepted: Vec<(PointKey, u64, i64)> = Vec::new();
        let mut given: std::collections::HashSet<(u64, u16, i64)> = std::collections::HashSet::new();
        let mut arrival = NOON * STEP_NS;
        let mut delta = TimesDelta::default();
        for (n, (series, fields, second, is_dated, restart)) in steps.into_iter().enumerate() {
            arrival += 300_000;
            let point = key(series, fields);
            let own_ms = NOON + second * 1_000;
            let at_ms = if is_dated {
                let shift = times.shift_ms(&delta, &[point], own_ms * STEP_NS);
                let value = GivenTime { own_ms, given_ms: own_ms + shift, received_ms: arrival / STEP_NS, document: n as u64 + 1, fields };
                times.give(&mut delta, &point, value);
                own_ms + shift
            } else {
                times.stamp(&mut delta, &[point], arrival, STEP_NS, true) / STEP_NS
            };
            if restart || n % 5 == 4 {
                encode(delta.entries.iter().copied(), &mut log);
                times.merge(std::mem::take(&mut delta), arrival);
            }
            if is_dated {
                accepted.push((point, n as u64 + 1, own_ms));
            }
            for (point, document, own_ms) in accepted.iter().filter(|_| restart || n % 64 == 63) {
                let arrival_ms = arrival / STEP_NS;
                prop_assert!(times.is_repeat(&delta, point, *document, *own_ms, 0, arrival_ms));
                prop_assert!(!times.is_repeat(&delta, point, *document, own_ms + 1, 0, arrival_ms));
            }
            for bit in 0..3 {
                if fields & (1 << bit) != 0 {
                    prop_assert!(given.insert((series, bit, at_ms)), "{n}: field {bit} at {at_ms}");
                }
            }
            if restart {
                let mut stored = SeriesTimes::new(60_000, Some(arrival));
                let mut input = log.as_slice();
                while let Some((series, entry)) = decode(&mut input) {
                    stored.replay(series, entry);
                }
                prop_assert!(input.is_empty());
                times = stored;
            }
        }
    }
}
