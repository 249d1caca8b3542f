//! Rules as tables of times and values: which alerts fire and end, and when.

use crate::common::{Bench, HOUR, MINUTE, NOON, SECOND, labels, rule};

/// A step: seconds from the start, a value (or none: only time passes), and the notifications then.
type Step = (i64, Option<f64>, &'static str);

fn play(json: &str, steps: &[Step]) {
    let mut bench = Bench::new(&[json]);
    for (seconds, value, expected) in steps {
        bench.now_ns = NOON + seconds * SECOND;
        let told = match value {
            Some(value) => bench.value(&[("node", "a")], *value),
            None => bench.tick(),
        };
        assert_eq!(told, *expected, "{seconds} s of {json}");
    }
}

#[test]
fn a_limit_with_hysteresis_fires_once_and_ends_behind_it() {
    play(
        &rule(r#""below": 20, "hysteresis": 2"#),
        &[
            (0, Some(20.0), ""),
            (1, Some(19.9), "fires since 1"),
            (2, Some(10.0), ""),
            (3, Some(21.9), ""),
            (4, Some(22.0), "ends"),
            (5, Some(20.0), ""),
            (6, Some(19.0), "fires since 6"),
        ],
    );
    play(
        &rule(r#""above": 40, "below": -10, "hysteresis": 1"#),
        &[
            (0, Some(40.0), ""),
            (1, Some(40.1), "fires since 1"),
            (2, Some(39.5), ""),
            (3, Some(39.0), "ends"),
            (4, Some(-10.5), "fires since 4"),
            (5, Some(-9.5), ""),
            (6, Some(-9.0), "ends"),
        ],
    );
    play(
        &rule(r#""above": 2, "absolute": true"#),
        &[(0, Some(-2.5), "fires since 0"), (1, Some(1.9), "ends")],
    );
}

#[test]
fn it_must_hold_for_so_long() {
    play(
        &rule(r#""above": 80, "for_s": 300"#),
        &[
            (0, Some(81.0), ""),
            (200, Some(82.0), ""),
            (250, Some(79.0), ""),
            (260, Some(85.0), ""),
            (559, Some(85.0), ""),
            (560, Some(85.0), "fires since 260"),
            (561, Some(80.0), "ends"),
            // Without a further value the last one counts, once the time is over.
            (600, Some(81.0), ""),
            (899, None, ""),
            (900, None, "fires since 600"),
            (5000, None, ""),
            (5001, Some(70.0), "ends"),
        ],
    );
}

#[test]
fn a_mean_is_that_of_the_window_and_ends_with_it() {
    play(
        &rule(r#""of": "mean", "window_s": 60, "above": 0.15"#),
        &[
            (0, Some(0.1), ""),
            (10, Some(0.18), ""),
            (20, Some(0.2), "fires since 20"),
            (30, Some(0.0), "ends"),
            // The first values have left the window.
            (70, Some(0.4), "fires since 70"),
            (129, None, ""),
            (131, None, "ends: no_values"),
            (3600, None, ""),
        ],
    );
}

#[test]
fn a_rate_needs_half_of_its_window() {
    play(
        &rule(r#""of": "rate", "per": "minute", "window_s": 600, "above": 1"#),
        &[
            (0, Some(10.0), ""),
            (60, Some(20.0), ""),
            (299, Some(20.0), ""),
            (300, Some(20.0), "fires since 300"),
            (700, Some(20.0), "ends"),
        ],
    );
}

#[test]
fn a_change_is_that_since_the_oldest_value_of_the_window() {
    play(
        &rule(r#""of": "change", "window_s": 600, "above": 0"#),
        &[
            (0, Some(7.0), ""),
            (10, Some(7.0), ""),
            (20, Some(9.0), "fires since 20"),
            (300, Some(9.0), ""),
            (609, Some(9.0), ""),
            (640, Some(9.0), "ends"),
        ],
    );
    play(
        &rule(r#""of": "change", "window_s": 600, "below": -5"#),
        &[(0, Some(50.0), ""), (60, Some(44.0), "fires since 60")],
    );
}

#[test]
fn late_values_begin_and_end_nothing() {
    let mut bench = Bench::new(&[&rule(r#""above": 10"#)]);
    bench.now_ns = NOON;
    // One value that was six minutes old when it came, and one that was overtaken.
    assert_eq!(
        bench.value_of(&[("node", "a")], 99.0, NOON - 6 * MINUTE),
        ""
    );
    assert_eq!(bench.value(&[("node", "a")], 5.0), "");
    assert_eq!(bench.value_of(&[("node", "a")], 99.0, NOON - SECOND), "");
    assert_eq!(bench.late(), 2);
    assert_eq!(
        bench.value_of(&[("node", "b")], 99.0, NOON - SECOND),
        "fires since -1"
    );
    // An alert is not ended by one either.
    assert_eq!(bench.value_of(&[("node", "b")], 5.0, NOON - 2 * SECOND), "");
    // A clock that is ahead makes nothing late that comes behind it.
    bench.now_ns = NOON + SECOND;
    assert_eq!(
        bench.value_of(&[("node", "a")], 11.0, NOON + 20 * HOUR),
        "fires since 1"
    );
    bench.now_ns = NOON + 2 * SECOND;
    assert_eq!(bench.value(&[("node", "a")], 9.0), "ends");
    assert_eq!(bench.late(), 3);
    // A clock that is corrected by a little makes nothing late.
    bench.now_ns = NOON;
    assert_eq!(bench.value(&[("node", "a")], 12.0), "fires since 0");
    assert_eq!(bench.late(), 3);
}

#[test]
fn each_series_has_a_state_of_its_own_and_tags_select() {
    let json = r#"{"name": "r", "of": "value", "severity": "warning", "receivers": ["log"], "measurement": "m", "field": "f",
        "tags": {"site": "north"}, "by": ["node", "kind"], "above": 10}"#;
    let mut bench = Bench::new(&[json]);
    let tags = |node, site| {
        [
            ("kind", "x"),
            ("node", node),
            ("other", "1"),
            ("site", site),
        ]
    };
    assert_eq!(bench.value(&tags("a", "north"), 11.0), "fires since 0");
    assert_eq!(bench.value(&tags("b", "north"), 11.0), "fires since 0");
    assert_eq!(bench.value(&tags("c", "south"), 11.0), "");
    assert_eq!(bench.value(&tags("a", "north"), 1.0), "ends");
    let change = bench.last.last().unwrap();
    assert_eq!(change.labels, labels(&[("kind", "x"), ("node", "a")]));
}

/// Silences per device, and of a plant as a whole: from the start on, within working hours, and not for the time in which the gateway did not run.
#[test]
fn silence_is_counted_while_somebody_listens() {
    let of_nodes = r#"{"name": "s", "of": "silence", "severity": "warning", "receivers": ["log"], "measurement": "m", "by": ["node"], "silent_s": 600}"#;
    let mut bench = Bench::new(&[of_nodes]);
    assert_eq!(bench.at(0).value(&[("node", "a")], 1.0), "");
    assert_eq!(bench.at(599).tick(), "");
    assert_eq!(bench.at(600).tick(), "fires since 0");
    assert_eq!(bench.at(900).tick(), "");
    // A late value also shows that the device is there.
    let late = bench.at(901).now_ns - HOUR;
    assert_eq!(bench.value_of(&[("node", "a")], 1.0, late), "ends");
    bench.at(1000).restart();
    assert_eq!(bench.at(1501).tick(), "");
    assert_eq!(bench.at(1600).tick(), "fires since 901");
    bench.restart();
    assert_eq!(bench.at(1700).tick(), "", "it holds already");
    assert_eq!(bench.at(1701).value(&[("node", "a")], 1.0), "ends");

    // 2023-11-14 22:13:20 UTC is the start, a Tuesday; the plant works until 22:30.
    let of_all = r#"{"name": "s", "of": "silence", "severity": "warning", "receivers": ["log"], "silent_s": 600,
        "hours": "Mon-Fri 06:00-22:30", "zone": "UTC"}"#;
    let mut bench = Bench::new(&[of_all]);
    assert_eq!(bench.at(599).tick(), "");
    assert_eq!(bench.at(600).tick(), "fires since 0");
    assert_eq!(bench.at(700).value(&[("node", "a")], 1.0), "ends");
    assert_eq!(bench.at(2000).tick(), "", "it works no more");
    // At six the next morning, the time begins again.
    assert_eq!(bench.at(28_000 + 599).tick(), "");
    assert_eq!(bench.at(28_000 + 600).tick(), "fires since 700");
}

/// The gateway's own figures: the alert of a missing figure ends.
#[test]
fn figures_are_series_as_others_are() {
    let json = r#"{"name": "q", "of": "value", "severity": "warning", "receivers": ["log"], "gateway": "queue_age_s", "above": 300}"#;
    let mut bench = Bench::new(&[json]);
    assert_eq!(bench.figure(&[("sink", "mqtt")], 301.0), "fires since 0");
    assert_eq!(bench.at(5).figure(&[("sink", "mqtt")], 299.0), "ends");
    assert_eq!(
        bench.at(10).figure(&[("sink", "mqtt")], 400.0),
        "fires since 10"
    );
    assert_eq!(bench.at(15).no_figures(), "ends: no_longer_there");
}

/// An unchanged state needs no commit, so an idle gateway does not write to the disk.
#[test]
fn a_figure_that_stays_is_stored_once() {
    let json = r#"{"name": "q", "of": "value", "severity": "warning", "receivers": ["log"], "gateway": "queue_age_s", "above": 300}"#;
    let mut bench = Bench::new(&[json]);
    bench.figure(&[("sink", "mqtt")], 0.0);
    assert_eq!(bench.written, 1);
    bench.at(5).figure(&[("sink", "mqtt")], 0.0);
    assert_eq!(bench.written, 0);
    bench.at(10).figure(&[("sink", "mqtt")], 2.0);
    assert_eq!(bench.written, 1);
}

#[test]
fn what_holds_is_told_again_and_what_nobody_hears_of_is_forgotten() {
    let mut bench = Bench::new(&[&rule(r#""above": 10"#)]);
    assert_eq!(bench.at(0).value(&[("node", "a")], 11.0), "fires since 0");
    assert_eq!(bench.at(4 * 3600 - 1).tick(), "");
    assert_eq!(bench.at(4 * 3600).tick(), "again since 0");
    assert_eq!(bench.at(4 * 3600 + 1).tick(), "");
    bench.at(8 * 3600 - 1).restart();
    assert_eq!(bench.at(8 * 3600).tick(), "again since 0");
    assert_eq!(
        bench.at(30 * 86_400 + 100).tick(),
        "again since 0, ends: forgotten"
    );
    assert_eq!(bench.series(), 0);
}

/// Pending and firing states, windows and ids continue after a restart. The time in which the gateway did not run does not count for `for_s`.
#[test]
fn states_survive_a_restart() {
    let json = rule(r#""above": 80, "for_s": 300"#);
    let mut bench = Bench::new(&[&json]);
    assert_eq!(bench.at(0).value(&[("node", "a")], 81.0), "");
    bench.at(1000).restart();
    assert_eq!(
        bench.at(1299).tick(),
        "",
        "a value must say so, or the time pass anew"
    );
    bench.restart();
    assert_eq!(
        bench.at(1400).value(&[("node", "a")], 82.0),
        "fires since 0"
    );
    let id = bench.last.last().unwrap().id.clone();
    bench.at(1500).restart();
    assert_eq!(bench.at(1501).value(&[("node", "a")], 90.0), "");
    assert_eq!(bench.at(1502).value(&[("node", "a")], 1.0), "ends");
    assert_eq!(bench.last.last().unwrap().id, id);

    let mean = rule(r#""of": "mean", "window_s": 60, "above": 10"#);
    let mut bench = Bench::new(&[&mean]);
    assert_eq!(bench.at(0).value(&[("node", "a")], 1.0), "");
    bench.at(10).restart();
    assert_eq!(bench.at(20).value(&[("node", "a")], 15.0), "");
    assert_eq!(bench.at(30).value(&[("node", "a")], 15.0), "fires since 30");
}

/// The same frames give the same id, also if the end of the journal was lost in between; another journal gives another one.
#[test]
fn the_id_follows_from_what_happened() {
    let json = rule(r#""above": 10"#);
    let mut first = Bench::new(&[&json]);
    let mut second = Bench::new(&[&json]);
    let mut other = Bench::of_journal("other", &[&json]);
    let ids: Vec<String> = [&mut first, &mut second, &mut other]
        .into_iter()
        .map(|bench| {
            assert_eq!(bench.at(7).value(&[("node", "a")], 11.0), "fires since 7");
            bench.last.last().unwrap().id.clone()
        })
        .collect();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
}

/// If a rule is removed, or watches other values, its alerts end. With other limits, the next value decides.
#[test]
fn a_rule_may_change_while_it_fires() {
    let before = rule(r#""above": 10"#);
    let firing = || {
        let mut bench = Bench::new(&[&before]);
        assert_eq!(bench.at(0).value(&[("node", "a")], 11.0), "fires since 0");
        bench
    };
    let mut gone = firing();
    assert_eq!(gone.restart_with(&[]), "ends: rule_removed");
    assert_eq!(gone.restart_with(&[&before]), "");
    assert_eq!(gone.at(9).value(&[("node", "a")], 12.0), "fires since 9");

    let mut other = firing();
    let of_other = before.replace("\"field\": \"f\"", "\"field\": \"g\"");
    assert_eq!(other.restart_with(&[&of_other]), "ends: rule_changed");

    let mut unselected = firing();
    let of_b = before.replace("\"field\"", "\"tags\": {\"node\": \"b\"}, \"field\"");
    assert_eq!(unselected.restart_with(&[&of_b]), "ends: rule_changed");

    let mut raised = firing();
    let limit = rule(r#""above": 20"#);
    assert_eq!(raised.restart_with(&[&limit]), "");
    assert_eq!(raised.at(9).value(&[("node", "a")], 15.0), "ends");
}

/// A clock that was set counts as a start: no alert fires because of the jump, and values after it count.
#[test]
fn a_clock_that_is_moved_proves_nothing() {
    let silent = r#"{"name": "s", "of": "silence", "severity": "warning", "receivers": ["log"], "measurement": "m", "by": ["node"], "silent_s": 600}"#;
    let mut bench = Bench::new(&[silent, &rule(r#""above": 10, "for_s": 60"#)]);
    bench.at(0).value(&[("node", "a")], 11.0);
    bench.at(86_400).clock_was_moved();
    assert_eq!(bench.tick(), "");
    assert_eq!(bench.at(86_459).tick(), "");
    assert_eq!(bench.at(86_460).tick(), "fires since 0");
    // Back again: values of now are older than the newest, and are not late.
    bench.at(100).clock_was_moved();
    assert_eq!(bench.at(101).value(&[("node", "a")], 1.0), "ends");
    assert_eq!(bench.late(), 0);
}

/// Values of series beyond the limit are not kept, but counted.
#[test]
fn there_are_not_more_series_than_allowed() {
    let mut bench = Bench::new(&[&rule(r#""above": 10"#)]);
    for number in 0..Bench::MAX_SERIES + 3 {
        bench.value(&[("node", &number.to_string())], 1.0);
    }
    assert_eq!((bench.series(), bench.beyond()), (Bench::MAX_SERIES, 3));
}
