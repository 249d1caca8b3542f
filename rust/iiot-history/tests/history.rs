//! All stored points are found, even if they came late, twice or corrected. Compared with a model that computes everything from scratch.

use crate::common::{
    BEGIN, DAY, HOUR, History, MINUTE, Model, Point, SECOND, assert_same, content, store, store_at,
};
use iiot_core::point::ValueKind;
use iiot_history::{ErrorKind, Function, Limits, Range, Reader, Stored, Value, Writer};
use proptest::prelude::*;
use std::fs;
use std::time::Duration;

fn decimals() -> impl Strategy<Value = String> {
    "-?(0\\.[1-9]|[1-9][0-9]{0,4})(\\.[0-9]{1,4})?"
        .prop_filter("one point", |t| t.matches('.').count() < 2)
}

/// Points of three series over some hours: mostly a second apart, sometimes a place where something was before.
fn batches() -> impl Strategy<Value = Vec<Vec<Point>>> {
    let point = (0u8..3, 0i64..20_000, decimals())
        .prop_map(|(series, at, text)| (series, BEGIN + at * SECOND, text));
    proptest::collection::vec(proptest::collection::vec(point, 1..60), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Points in any order, in any batches, some of them twice, some corrected: file and roll-ups are those of the last values.
    #[test]
    fn any_order_gives_the_same_history(batches in batches(), again in 0usize..8) {
        let history = History::new();
        let mut model = Model::default();
        let mut writer = history.writer();
        for batch in &batches {
            let stored = store(&mut writer, batch);
            model.take(batch);
            prop_assert_eq!(stored.inserted + stored.replaced + stored.unchanged, batch.len() as u64);
        }

        assert_same(&history, &model);

        // As after a crash between the commit here and that of the journal: from some batch on everything comes once more.
        for batch in batches.iter().skip(again) {
            store(&mut writer, batch);
            model.take(batch);
        }
        assert_same(&history, &model);
    }
}

fn steady(points: i64, step_ns: i64) -> Vec<Point> {
    (0..points)
        .map(|n| (1, BEGIN + n * step_ns, format!("{}.{}", 20 + n % 7, n % 10)))
        .collect()
}

#[test]
fn a_batch_stored_again_changes_nothing() {
    //! Not a byte of what can be read, and it says so.
    let history = History::new();
    let mut writer = history.writer();
    let points = steady(10_000, SECOND);

    let first = store(&mut writer, &points);
    let before = content(&history.path);
    let second = store(&mut writer, &points);

    let size = points.len() as u64;
    assert_eq!(
        first,
        Stored {
            inserted: size,
            ..Stored::default()
        }
    );
    assert_eq!(
        second,
        Stored {
            unchanged: size,
            ..Stored::default()
        }
    );
    assert_eq!(content(&history.path), before);
}

#[test]
fn a_correction_deep_in_the_past_reaches_the_roll_ups() {
    //! Also one that lies in a full block, and one before everything.
    let history = History::new();
    let (mut writer, mut model) = (history.writer(), Model::default());
    let points = steady(20_000, SECOND);
    store(&mut writer, &points);
    model.take(&points);

    let corrections: Vec<Point> = vec![
        (1, BEGIN - 5 * HOUR, "-40.50".into()),
        (1, BEGIN + 100 * SECOND, "99.9".into()),
        (1, BEGIN + 101 * SECOND + 1, "0.0001".into()),
        (1, BEGIN + 19_999 * SECOND, "77".into()),
        (1, BEGIN + 20_000 * SECOND, "78".into()),
    ];
    let stored = store(&mut writer, &corrections);
    model.take(&corrections);

    assert_eq!(
        stored,
        Stored {
            inserted: 3,
            replaced: 2,
            ..Stored::default()
        }
    );
    assert_same(&history, &model);
}

#[test]
fn an_older_recording_is_merged_before_what_is_there() {
    //! Batch by batch, as a replay gives it.
    let history = History::new();
    let (mut writer, mut model) = (history.writer(), Model::default());
    let newer = steady(5_000, 10 * SECOND);
    store(&mut writer, &newer);
    model.take(&newer);

    let older: Vec<Point> = newer
        .iter()
        .map(|(s, time, text)| (*s, time - 3 * DAY - 1, text.clone()))
        .collect();
    for batch in older.chunks(700) {
        store(&mut writer, batch);
        model.take(batch);
    }

    assert_same(&history, &model);
}

#[test]
fn texts_booleans_and_strange_numbers_come_out_as_they_came_in() {
    //! Two texts that mean the same number stay two texts.
    let history = History::new();
    let mut writer = history.writer();
    let values = [
        (ValueKind::Number, "54.10"),
        (ValueKind::Number, "54.1"),
        (ValueKind::Number, "1e5"),
        (ValueKind::Number, "-0.0"),
        (ValueKind::Number, "12345678901234567890.5"),
        (ValueKind::Bool, "true"),
        (ValueKind::String, "54.10"),
        (ValueKind::String, "ouvert, \"à moitié\"\n"),
    ];
    let slot = writer.slot(b"m,node=a\\ b state=", None);
    for (at, (kind, text)) in values.iter().enumerate() {
        writer.add(slot, BEGIN + at as i64, Value::new(*kind, text.as_bytes()));
    }
    writer.commit(BEGIN).unwrap();

    let reader = history.reader();
    let series = reader.series().unwrap().remove(0);
    let (_, texts) = reader.texts(series.id, i64::MIN, i64::MAX, 100).unwrap();
    assert_eq!(texts, values.map(|(_, text)| text.to_owned()));
    assert_eq!(series.tags, [("node".to_owned(), "a b".to_owned())]);
    assert_eq!(series.field, "state");
    assert_eq!(
        reader.last(None).unwrap().remove(0).value.text(),
        values[7].1
    );
    let points = Range {
        start_ns: BEGIN,
        end_ns: BEGIN + 100,
        every_ns: 0,
        function: Function::Mean,
        limit: 100,
        timeout: None,
    };
    let (_, numbers) = reader.range(series.id, &points).unwrap();
    assert_eq!(numbers[..3], [Some(54.1), Some(54.1), Some(1e5)]);
    assert_eq!(numbers[5..], [Some(1.0), None, None]);
}

#[test]
fn a_range_that_holds_too_much_is_refused_with_the_remedy() {
    //! One value fewer than there are; as many as there are is enough.
    let history = History::new();
    store(&mut history.writer(), &steady(1_000, 30 * SECOND));
    let reader = history.reader();
    let id = reader.series().unwrap()[0].id;
    let ask = |every_ns, limit| {
        let range = Range {
            start_ns: BEGIN,
            end_ns: BEGIN + DAY,
            every_ns,
            function: Function::Mean,
            limit,
            timeout: None,
        };
        reader.range(id, &range).map(|(times, _)| times.len())
    };

    assert_eq!(ask(0, 1_000).unwrap(), 1_000);
    assert_eq!(ask(MINUTE, 500).unwrap(), 500);
    for (every_ns, limit) in [(0, 999), (MINUTE, 499), (HOUR, 1), (SECOND, 999)] {
        let error = ask(every_ns, limit).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert!(error.to_string().contains("buckets (every)"), "{error}");
    }
}

#[test]
fn what_is_too_old_goes_and_the_roll_ups_follow() {
    //! To the nanosecond, of every series; one that has nothing left is gone.
    let history = History::new();
    let mut writer = history.limited(Limits {
        max_age: Some(Duration::from_secs(3_600)),
        max_bytes: 0,
    });
    let mut model = Model::default();
    let mut points = steady(8_000, SECOND);
    points.extend((0..10).map(|n| (2, BEGIN + n, "1.5".to_owned())));
    let stored = store_at(&mut writer, &points, BEGIN + 365 * DAY);
    model.take(&points);

    // The clock of the host is far ahead; age counts from the newest point then.
    let limit = BEGIN + 7_999 * SECOND - HOUR;
    model.points.retain(|(_, time), _| *time >= limit);
    assert_eq!(stored.pruned, (points.len() - model.points.len()) as u64);
    assert_same(&history, &model);
    assert_eq!(history.reader().series().unwrap().len(), 1);
}

#[test]
fn a_full_file_loses_its_oldest_points_and_stays_within_its_limit() {
    //! However much comes.
    let history = History::new();
    let limit = 400_000;
    let mut writer = history.limited(Limits {
        max_age: None,
        max_bytes: limit,
    });
    let mut model = Model::default();
    let mut pruned = 0;
    let points = steady(600_000, SECOND);
    for batch in points.chunks(20_000) {
        pruned += store(&mut writer, batch).pruned;
        model.take(batch);
        let used = writer.size().unwrap().bytes;
        assert!(used <= limit + limit / 4, "{used} bytes");
    }
    let first = history.reader().series().unwrap()[0].first_ns;
    model.points.retain(|(_, time), _| *time >= first);

    assert!(pruned > 0);
    assert_eq!(pruned, (points.len() - model.points.len()) as u64);
    assert_same(&history, &model);
}

#[test]
fn a_lowered_limit_gives_room_back_to_the_disk() {
    //! Not only pages within the file.
    let history = History::new();
    let points = steady(400_000, SECOND);
    store(&mut history.writer(), &points);
    let before = fs::metadata(&history.path).unwrap().len();

    let mut writer = history.limited(Limits {
        max_age: None,
        max_bytes: 200_000,
    });
    for n in 0..3 {
        store(&mut writer, &[(1, BEGIN + DAY * 30 + n, "1".into())]);
    }
    writer.close();

    let after = fs::metadata(&history.path).unwrap().len();
    assert!(
        after < before / 2 && after <= 250_000,
        "{before} bytes, then {after}"
    );
}

#[test]
fn a_second_writer_is_refused() {
    //! And let in when the first is closed.
    let history = History::new();
    let mut first = history.writer();

    let error = Writer::open(&history.path, Limits::default(), true, || false)
        .err()
        .unwrap();
    assert_eq!(error.kind, ErrorKind::Busy);
    first.close();
    assert!(Writer::open(&history.path, Limits::default(), true, || false).is_ok());
}

#[test]
fn a_file_that_is_no_history_is_refused_and_left_as_it_is() {
    //! From the future, of another program, cut short, or overwritten.
    let history = History::new();
    store(&mut history.writer(), &steady(50_000, SECOND));
    let good = fs::read(&history.path).unwrap();
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        bytes
    };
    let cases: [(&str, ErrorKind, Vec<u8>); 5] = [
        (
            "version 7",
            ErrorKind::UnknownVersion,
            changed(&|b| b[63] = 7),
        ),
        (
            "another program",
            ErrorKind::UnknownVersion,
            changed(&|b| b[68] = 1),
        ),
        (
            "no SQLite at all",
            ErrorKind::Damaged,
            b"time,value\n1,2\n".repeat(400),
        ),
        (
            "cut short",
            ErrorKind::Damaged,
            changed(&|b| b.truncate(b.len() / 2)),
        ),
        (
            "overwritten",
            ErrorKind::Damaged,
            changed(&|b| b[8_192..40_000].fill(0x55)),
        ),
    ];
    for (what, kind, bytes) in cases {
        fs::write(&history.path, &bytes).unwrap();

        let error = Writer::open(&history.path, Limits::default(), true, || false)
            .err()
            .unwrap();

        assert_eq!(error.kind, kind, "{what}: {error}");
        assert!(error.to_string().contains("history.db"), "{error}");
        assert_eq!(fs::read(&history.path).unwrap(), bytes, "{what}");
    }
}

#[test]
fn a_damaged_block_is_found_when_it_is_read() {
    //! A bit that the structure of the file does not depend on.
    let history = History::new();
    store(&mut history.writer(), &steady(50_000, SECOND));
    let mut bytes = fs::read(&history.path).unwrap();
    // Far into the content of a page in the middle of the file.
    let at = bytes.len() / 2 / 4_096 * 4_096 + 3_000;
    bytes[at] ^= 0x10;
    fs::write(&history.path, &bytes).unwrap();

    let reader = history.reader();
    let id = reader.series().unwrap()[0].id;
    let error = reader
        .texts(id, i64::MIN, i64::MAX, usize::MAX)
        .err()
        .unwrap();
    assert_eq!(error.kind, ErrorKind::Damaged, "{error}");
}

#[test]
fn there_is_nothing_to_read_before_there_is_a_file() {
    //! And nothing is made.
    let history = History::new();

    let error = Reader::open(&history.path).err().unwrap();

    assert_eq!(error.kind, ErrorKind::Missing);
    assert!(!history.path.exists());
}

#[test]
fn a_closed_reader_says_so() {
    //! Whatever it is asked.
    let history = History::new();
    store(&mut history.writer(), &steady(10, SECOND));
    let reader = history.reader();
    reader.close();

    assert_eq!(reader.series().err().unwrap().kind, ErrorKind::Closed);
    assert_eq!(reader.last(None).err().unwrap().kind, ErrorKind::Closed);
}

#[test]
fn checking_a_large_file_can_be_cancelled() {
    //! So that a gateway stops in time while its history is being checked.
    let history = History::new();
    store(&mut history.writer(), &steady(400_000, SECOND));

    let error = Writer::open(&history.path, Limits::default(), true, || true)
        .err()
        .unwrap();

    assert_eq!(error.kind, ErrorKind::Closed, "{error}");
    // Without a check there is nothing to cancel.
    assert!(Writer::open(&history.path, Limits::default(), false, || true).is_ok());
    assert!(Writer::open(&history.path, Limits::default(), true, || false).is_ok());
}

#[test]
fn a_range_that_takes_too_long_ends_with_a_remedy_and_the_reader_goes_on() {
    //! A width that no roll-up fits, so that every point is read.
    let history = History::new();
    store(&mut history.writer(), &steady(400_000, SECOND));
    let reader = history.reader();
    let mut range = Range {
        start_ns: i64::MIN,
        end_ns: i64::MAX,
        every_ns: DAY + 1,
        function: Function::Mean,
        limit: 10_000,
        timeout: Some(Duration::ZERO),
    };

    let error = reader.range(1, &range).err().unwrap();

    assert_eq!(error.kind, ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains("whole number of minutes"));
    range.timeout = Some(Duration::from_secs(600));
    assert!(!reader.range(1, &range).unwrap().0.is_empty());
    range.timeout = None;
    assert!(!reader.range(1, &range).unwrap().0.is_empty());
}
