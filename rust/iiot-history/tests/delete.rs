//! Deleted points are gone from points and roll-ups, and nothing else is. Compared with a model that computes everything from scratch.

use crate::common::{
    BEGIN, DAY, HOUR, History, MINUTE, Model, Point, SECOND, assert_same, content, store,
};
use iiot_history::{ErrorKind, Writer};
use proptest::prelude::*;

/// Delete the points of a device, here and in the model. Both return the number of points.
fn delete(writer: &mut Writer, model: &mut Model, device: u8, start: i64, end: i64) {
    let device_id = format!("d{device}");
    let ask = |writer: &mut Writer| {
        writer
            .delete(("device_id", &device_id), start, end, || false)
            .unwrap()
    };
    assert_eq!(ask(writer), model.delete(device, start, end));
    assert_eq!(ask(writer), 0, "a second time there is nothing to delete");
}

fn steady(series: u8, points: i64, step_ns: i64) -> Vec<Point> {
    (0..points)
        .map(|n| {
            let text = format!("{}.{}", 20 + n % 7, n % 10);
            (series, BEGIN + n * step_ns, text)
        })
        .collect()
}

#[derive(Debug, Clone)]
enum Step {
    Store(Vec<Point>),
    Delete(u8, i64, i64),
}

/// Points of three series over some hours, and spans from nothing to everything that are deleted between them.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let point = (0u8..3, 0i64..20_000, 1u32..99_999).prop_map(|(series, at, n)| {
        let text = format!("{}.{}", n / 10, n % 10);
        (series, BEGIN + at * SECOND, text)
    });
    let some = proptest::collection::vec(point, 1..80).prop_map(Step::Store);
    let length = prop_oneof![0i64..120, 0i64..4_000, Just(40_000)];
    let gone = (0u8..2, -100i64..20_000, length).prop_map(|(device, at, length)| {
        let start = BEGIN + at * SECOND;
        Step::Delete(device, start, start + length * SECOND)
    });
    proptest::collection::vec(prop_oneof![some, gone], 1..14)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Also what is stored again where something was deleted, late or behind everything.
    #[test]
    fn any_deletions_leave_what_was_not_deleted(steps in steps(), full in any::<bool>()) {
        let history = History::new();
        let (mut writer, mut model) = (history.writer(), Model::default());
        if full {
            // Enough for full blocks.
            let points = steady(1, 9_000, 2 * SECOND);
            store(&mut writer, &points);
            model.take(&points);
        }
        for step in &steps {
            match step {
                Step::Store(points) => {
                    store(&mut writer, points);
                    model.take(points);
                }
                Step::Delete(device, start, end) => {
                    delete(&mut writer, &mut model, *device, *start, *end);
                }
            }
        }
        assert_same(&history, &model);
    }
}

#[test]
fn blocks_and_tails_of_one_device_go_and_the_other_device_keeps_all() {
    //! More blocks than one transaction takes away; the ends of the span lie within blocks, minutes and hours.
    let history = History::new();
    let (mut writer, mut model) = (history.writer(), Model::default());
    for series in [0, 1, 3] {
        let points = steady(series, 60_000, SECOND);
        store(&mut writer, &points);
        model.take(&points);
    }

    let (start, end) = (BEGIN + 1_234 * SECOND + 5, BEGIN + 58_111 * SECOND);
    delete(&mut writer, &mut model, 1, start, end);
    assert_same(&history, &model);

    // The tail alone, so that the newest point lies in a full block; then something comes behind it.
    delete(
        &mut writer,
        &mut model,
        1,
        BEGIN + 59_000 * SECOND,
        i64::MAX,
    );
    assert_same(&history, &model);
    let newer: Vec<Point> = vec![
        (1, BEGIN + 59_500 * SECOND, "1.5".into()),
        (3, BEGIN + 2_000 * SECOND, "2.5".into()),
    ];
    store(&mut writer, &newer);
    model.take(&newer);
    assert_same(&history, &model);
}

#[test]
fn the_end_of_a_span_is_no_part_of_it() {
    //! To the nanosecond, at both ends.
    let history = History::new();
    let (mut writer, mut model) = (history.writer(), Model::default());
    let points: Vec<Point> = (-1..=MINUTE / SECOND)
        .flat_map(|n| {
            [
                (1, BEGIN + n * SECOND, "1".into()),
                (1, BEGIN + n * SECOND - 1, "2".into()),
            ]
        })
        .collect();
    store(&mut writer, &points);
    model.take(&points);

    delete(&mut writer, &mut model, 1, BEGIN, BEGIN + MINUTE);

    assert_same(&history, &model);
    assert_eq!(model.points.len(), 4);
}

#[test]
fn a_series_without_points_is_gone_and_comes_back_with_the_next_one() {
    //! Also of a span that is as long as there are times.
    let history = History::new();
    let (mut writer, mut model) = (history.writer(), Model::default());
    let points = steady(1, 3_000, HOUR);
    store(&mut writer, &points);
    model.take(&points);

    delete(&mut writer, &mut model, 1, i64::MIN, i64::MAX);

    assert!(content(&history.path).is_empty());
    assert_eq!(writer.size().unwrap().series, 0);
    store(&mut writer, &points[..10]);
    model.take(&points[..10]);
    assert_same(&history, &model);
}

#[test]
fn a_deletion_that_is_cancelled_leaves_a_history_that_is_right() {
    //! What is left is deleted by the same call.
    let history = History::new();
    let (mut writer, mut model) = (history.writer(), Model::default());
    let points = steady(1, 60_000, SECOND);
    store(&mut writer, &points);
    model.take(&points);
    let mut asked = 0;

    let error = writer
        .delete(("device_id", "d1"), BEGIN - DAY, BEGIN + DAY, || {
            asked += 1;
            asked > 1
        })
        .unwrap_err();

    assert_eq!(error.kind, ErrorKind::Closed);
    let left = history.reader().series().unwrap().remove(0);
    assert!(
        left.first_ns > BEGIN,
        "one transaction has deleted something"
    );
    model.delete(1, BEGIN, left.first_ns);
    assert_same(&history, &model);
    delete(&mut writer, &mut model, 1, BEGIN - DAY, BEGIN + DAY);
}
