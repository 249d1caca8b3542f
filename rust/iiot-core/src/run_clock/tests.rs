//! Uptimes and dates of one device, in all their orders.

use super::{DAY_NS, MS, Meaning, RunClock, SECOND_NS, WRAP_MS};
use proptest::prelude::*;

/// 2026-06-01T00:00:00Z.
const NOW: i64 = 1_780_272_000 * SECOND_NS;

fn date(arrival_ns: i64) -> u64 {
    (arrival_ns / SECOND_NS) as u64
}

/// The time that a number gives, and whether the number was taken for a date.
fn time(clock: &mut RunClock, number: u64, arrival_ns: i64) -> (i64, bool) {
    match clock.take(number, true, arrival_ns) {
        Meaning::Date => (number as i64 * SECOND_NS, true),
        Meaning::Uptime { start_ns, .. } => (start_ns + number as i64 * MS, false),
    }
}

/// Every ten seconds for 60 days, through the days on which an uptime looks like a date and through the wrap.
#[test]
fn an_uptime_is_never_taken_for_a_date() {
    let boot = NOW - 5 * SECOND_NS;
    let mut clock = RunClock::default();
    for n in 0..60 * 8_640 {
        let arrival = NOW + n * 10 * SECOND_NS;
        let uptime = (arrival - boot) / MS % WRAP_MS;
        let (time, is_date) = time(&mut clock, uptime as u64, arrival);
        assert!(!is_date, "after {n} documents");
        assert!(
            (arrival - time).abs() <= SECOND_NS,
            "{n}: {}",
            arrival - time
        );
    }
}

/// The gateway hears the device first on any of the days 17 to 22: at most one document has a wrong time.
#[test]
fn a_second_document_settles_what_the_first_left_open() {
    let today = NOW / SECOND_NS;
    for uptime in [
        1_500_000_000,
        1_577_836_801,
        today - 600_000,
        today - 10,
        today,
        today + 80_000,
        today + 700_000,
        1_900_000_000,
    ] {
        let mut clock = RunClock::default();
        let mut wrong = 0;
        for n in 0..500 {
            let arrival = NOW + n * 10 * SECOND_NS;
            let (_, is_date) = time(&mut clock, (uptime + n * 10_000) as u64, arrival);
            wrong += u32::from(is_date);
        }
        assert!(wrong <= 1, "{wrong} of a run that began at {uptime} ms");
    }
}

/// Dates stay dates: live, in a backlog, and with a clock that is hours wrong.
#[test]
fn dates_are_dates() {
    for wrong_s in [0, -7_200, 7_200] {
        let mut clock = RunClock::default();
        for n in 0..1_000 {
            let arrival = NOW + n * 10 * SECOND_NS;
            let sent = date(arrival + wrong_s * SECOND_NS);
            assert_eq!(
                time(&mut clock, sent, arrival),
                (sent as i64 * SECOND_NS, true)
            );
        }
        // It was away for ten days and sends what it kept.
        let arrival = NOW + 12 * DAY_NS;
        for n in 1_000..2_000 {
            let sent = date(NOW + n * 10 * SECOND_NS);
            assert_eq!(
                time(&mut clock, sent, arrival + n),
                (sent as i64 * SECOND_NS, true)
            );
        }
    }
}

/// The device gets its time from the network after a while, loses it with a restart, and gets it again.
#[test]
fn a_device_may_change_over_to_dates_and_back() {
    let mut clock = RunClock::default();
    let mut arrival = NOW;
    for _ in 0..3 {
        for n in 0..20 {
            let (time, is_date) = time(&mut clock, 3_000 + n * 1_000, arrival);
            assert!(!is_date && (arrival - time).abs() < SECOND_NS);
            arrival += SECOND_NS;
        }
        for _ in 0..20 {
            assert!(time(&mut clock, date(arrival), arrival).1);
            arrival += SECOND_NS;
        }
    }
}

/// Uptimes of the days 17 to 22 of a run, closest where they read as dates near today, every few minutes where that makes no difference.
fn uptimes_that_look_like_dates() -> impl Iterator<Item = i64> {
    let today = NOW / SECOND_NS;
    let near = (-700_000..700_000).step_by(10_007);
    let days = (17 * 24 * 3_600_000..22 * 24 * 3_600_000_i64).step_by(599_999);
    days.chain(near.map(move |off| today + off))
}

/// The device was heard in this run before, and then not for days. Its crystal is 100 ppm fast, exact or slow.
#[test]
fn a_known_run_goes_on_after_any_silence() {
    for silence in [2 * DAY_NS, 20 * DAY_NS] {
        for (uptime, ppm) in uptimes_that_look_like_dates().zip([-100, 0, 100].into_iter().cycle())
        {
            let uptime_at =
                |since_ns: i64| uptime + since_ns / MS + since_ns / MS * ppm / 1_000_000;
            if uptime_at(-silence) < 0 {
                continue;
            }
            let mut clock = RunClock::default();
            clock.take(uptime_at(-silence) as u64, false, NOW - silence);
            for n in 0..5 {
                let since = n * 10 * SECOND_NS;
                let (time, is_date) = time(&mut clock, uptime_at(since) as u64, NOW + since);
                assert!(!is_date, "{uptime} ms, {n} documents after {silence} ns");
                // What the crystal has gained or lost.
                let off = (NOW + since - time).abs();
                assert!(off <= silence / 9_000 + SECOND_NS, "{uptime} ms: {off}");
            }
        }
    }
}

/// After a wrap, or several, in a silence that is longer than the counter can count.
#[test]
fn a_known_run_goes_on_after_wraps() {
    for silence in [51 * DAY_NS, 70 * DAY_NS, 120 * DAY_NS] {
        for uptime in uptimes_that_look_like_dates() {
            let before = (uptime - silence / MS).rem_euclid(WRAP_MS);
            let mut clock = RunClock::default();
            clock.take(before as u64, false, NOW - silence);
            assert_eq!(
                time(&mut clock, uptime as u64, NOW),
                (NOW, false),
                "{uptime}"
            );
        }
    }
}

/// The device sent dates. While it was not heard, it restarted and got no time from the network.
#[test]
fn a_restart_without_a_date_in_a_silence_is_seen() {
    for pause in [0, 2 * DAY_NS, 20 * DAY_NS] {
        for uptime in uptimes_that_look_like_dates() {
            let mut clock = RunClock::default();
            let before = NOW - uptime * MS - pause - 60 * SECOND_NS;
            for n in 0..3 {
                let arrival = before + n * 10 * SECOND_NS;
                assert!(time(&mut clock, date(arrival), arrival).1);
            }
            let mut wrong = Vec::new();
            for n in 0..50 {
                let arrival = NOW + n * 10 * SECOND_NS;
                let (time, _) = time(&mut clock, (uptime + n * 10_000) as u64, arrival);
                if (arrival - time).abs() > SECOND_NS {
                    wrong.push(n);
                }
            }
            assert!(
                wrong.len() <= 1,
                "{wrong:?} of a run that was {uptime} ms old"
            );
        }
    }
}

/// The same, if a broker hands over a date from before the restart at first.
#[test]
fn a_restart_without_a_date_is_seen_behind_an_old_date() {
    let mut clock = RunClock::default();
    for n in 0..3 {
        let arrival = NOW - 30 * DAY_NS + n * 10 * SECOND_NS;
        time(&mut clock, date(arrival), arrival);
    }
    assert!(time(&mut clock, date(NOW - 25 * DAY_NS), NOW).1);
    let uptime = 19 * 24 * 3_600_000;
    for n in 0..50 {
        let arrival = NOW + n * 10 * SECOND_NS;
        let (time, is_date) = time(&mut clock, (uptime + n * 10_000) as u64, arrival);
        assert_eq!((time, is_date), (arrival, false));
    }
}

/// A device whose numbers are dates sends what it kept over a silence of any length, all at once or little by little, and then lives on.
#[test]
fn dates_that_were_kept_for_long_are_dates() {
    for silence in [2, 17, 18, 19, 20, 21, 22, 40, 400] {
        for gap in [MS, 70 * MS, 300 * MS, 1_500 * MS, 10 * SECOND_NS] {
            for interval_s in [10, 60, 900] {
                let mut clock = RunClock::default();
                let mut sent = NOW;
                for _ in 0..3 {
                    assert!(time(&mut clock, date(sent), sent).1);
                    sent += interval_s * SECOND_NS;
                }
                let mut arrival = NOW + silence * DAY_NS;
                for n in 0..(silence * 86_400 / interval_s).min(500) {
                    let is_date = time(&mut clock, date(sent), arrival).1;
                    assert!(
                        is_date,
                        "{n}, kept for {silence} days, every {interval_s} s"
                    );
                    sent += interval_s * SECOND_NS;
                    arrival += gap;
                }
                for _ in 0..5 {
                    assert!(time(&mut clock, date(arrival), arrival).1);
                    arrival += interval_s * SECOND_NS;
                }
            }
        }
    }
}

/// A device that is heard for the first time sends what it kept for a while.
#[test]
fn a_backlog_of_dates_without_a_known_run_is_one_of_dates() {
    for gap in [MS, 70 * MS, 300 * MS] {
        let mut clock = RunClock::default();
        for n in 0..1_000 {
            let sent = date(NOW - (1_000 - n) * 60 * SECOND_NS);
            assert!(time(&mut clock, sent, NOW + n * gap).1, "{n}");
        }
        for n in 0..10 {
            let arrival = NOW + 1_000 * gap + n * 60 * SECOND_NS;
            assert!(time(&mut clock, date(arrival), arrival).1, "{n}");
        }
    }
}

/// The newest document comes first, and behind it those that were kept for a month.
#[test]
fn dates_may_come_behind_a_newer_one() {
    let mut clock = RunClock::default();
    assert!(time(&mut clock, date(NOW), NOW).1);
    for n in 0..1_000 {
        let sent = date(NOW - 30 * DAY_NS + n * 60 * SECOND_NS);
        assert!(time(&mut clock, sent, NOW + n * MS).1, "{n}");
    }
}

/// The device gets its time from the network when its uptime reads as a date of today: the numbers go on, but much more slowly.
#[test]
fn dates_that_follow_an_equal_uptime_are_dates() {
    for ahead in [-80_000_000, -1_000_000, -10_000, 0, 10_000] {
        let mut clock = RunClock::default();
        let uptime = NOW / SECOND_NS + ahead;
        for n in 0..20 {
            let before = (20 - n) * 10_000;
            clock.take((uptime - before) as u64, false, NOW - before * MS);
        }
        let mut wrong = 0;
        for n in 0..20 {
            let arrival = NOW + n * 10 * SECOND_NS;
            wrong += u32::from(!time(&mut clock, date(arrival), arrival).1);
        }
        assert!(wrong <= 1, "{wrong}, {ahead}");
    }
}

/// What waited in a broker keeps its distances, because the run was known before.
#[test]
fn a_backlog_does_not_collapse() {
    let mut clock = RunClock::default();
    time(&mut clock, 10_000, NOW);
    let later = NOW + 6 * 3_600 * SECOND_NS;
    for n in 1..2_000 {
        let (time, is_date) = time(&mut clock, (10_000 + n * 10_000) as u64, later + n);
        assert_eq!((time, is_date), (NOW + n * 10 * SECOND_NS, false));
    }
}

/// A run that is first seen in a backlog gets arrival times, and says so.
#[test]
fn a_backlog_without_a_known_run_gets_arrival_times() {
    let mut clock = RunClock::default();
    for n in 0..100_i64 {
        let uptime = (1_000_000 + n * 10_000) as u64;
        let Meaning::Uptime { start_ns, moved } = clock.take(uptime, true, NOW + n) else {
            panic!("a date");
        };
        assert_eq!(start_ns + uptime as i64 * MS, NOW + n);
        assert_eq!(moved, n > 0);
    }
}

/// A fall is a restart, unless 2^32 ms have passed; one that was overtaken on its way is neither.
#[test]
fn a_fall_is_a_restart_a_wrap_or_was_overtaken() {
    let mut clock = RunClock::default();
    time(&mut clock, 5_000_000, NOW);
    let (overtaken, _) = time(&mut clock, 4_999_000, NOW + 10 * MS);
    assert_eq!(overtaken, NOW - SECOND_NS);
    let (next, _) = time(&mut clock, 5_001_000, NOW + SECOND_NS);
    assert_eq!(next, NOW + SECOND_NS);
    let (restarted, _) = time(&mut clock, 2_000, NOW + 60 * SECOND_NS);
    assert_eq!(restarted, NOW + 60 * SECOND_NS);
}

/// The host's clock was wrong and is set right: ten minutes later the times are right.
#[test]
fn a_difference_that_lasts_is_the_new_start() {
    let mut clock = RunClock::default();
    for n in 0..100 {
        let arrival = NOW + n * 10 * SECOND_NS + if n < 20 { 0 } else { 3_600 * SECOND_NS };
        let (time, _) = time(&mut clock, (60_000 + n * 10_000) as u64, arrival);
        if n > 20 + 61 {
            assert_eq!(time, arrival);
        }
    }
}

proptest! {
    /// No order of numbers and arrivals makes it panic, and what is stored is what is read.
    #[test]
    fn anything_may_come(steps in proptest::collection::vec((any::<u64>(), any::<bool>(), any::<i64>()), 0..50)) {
        let mut clock = RunClock::default();
        for (number, may_be_date, arrival) in steps {
            clock.take(number, may_be_date, arrival);
            let mut bytes = Vec::new();
            clock.encode(&mut bytes);
            prop_assert_eq!(RunClock::decode(bytes.as_slice().try_into().unwrap()), Some(clock));
        }
    }
}
