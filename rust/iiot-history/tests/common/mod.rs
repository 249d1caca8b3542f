//! A simple history to compare with: a map from series and time to text. Every bucket is computed from scratch.

use iiot_core::point::ValueKind;
use iiot_history::{Function, Limits, Range, Reader, Stored, Value, Writer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub const SECOND: i64 = 1_000_000_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;
/// 2023-12-27T16:00:00Z, a whole hour.
pub const BEGIN: i64 = 1_703_692_800 * SECOND;

/// One point: number of the series, time, text of a number with at most six decimals.
pub type Point = (u8, i64, String);

#[derive(Default)]
pub struct Model {
    pub points: BTreeMap<(u8, i64), String>,
}

impl Model {
    pub fn take(&mut self, points: &[Point]) {
        for (series, time_ns, text) in points {
            self.points.insert((*series, *time_ns), text.clone());
        }
    }

    /// Returns how many points were removed.
    pub fn delete(&mut self, device: u8, start: i64, end: i64) -> u64 {
        let before = self.points.len();
        self.points
            .retain(|&(series, time), _| series % 2 != device || !(start..end).contains(&time));
        (before - self.points.len()) as u64
    }

    /// Buckets in millionths, exact.
    pub fn range(
        &self,
        series: u8,
        start: i64,
        end: i64,
        every: i64,
        function: Function,
    ) -> Vec<(i64, f64)> {
        let mut buckets: BTreeMap<i64, Vec<i128>> = BTreeMap::new();
        for (&(_, time), text) in self.points.range((series, start)..(series, end)) {
            buckets
                .entry(time.div_euclid(every) * every)
                .or_default()
                .push(millionths(text));
        }
        let float = |m: i128| m as f64 / 1e6;
        buckets
            .into_iter()
            .map(|(bucket, all)| {
                let sum: i128 = all.iter().sum();
                let value = match function {
                    Function::Mean => float(sum) / all.len() as f64,
                    Function::Sum => float(sum),
                    Function::Min => float(*all.iter().min().unwrap()),
                    Function::Max => float(*all.iter().max().unwrap()),
                    Function::Count => all.len() as f64,
                    Function::First => float(all[0]),
                    Function::Last => float(*all.last().unwrap()),
                };
                (bucket, value)
            })
            .collect()
    }
}

fn millionths(text: &str) -> i128 {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits: i128 = format!("{whole}{decimals:0<6}").parse().unwrap();
    digits
}

pub const FUNCTIONS: [Function; 7] = [
    Function::Mean,
    Function::Min,
    Function::Max,
    Function::Sum,
    Function::Count,
    Function::First,
    Function::Last,
];

/// A history in a folder of its own.
pub struct History {
    _folder: tempfile::TempDir,
    pub path: PathBuf,
}

impl History {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.db");
        Self {
            _folder: folder,
            path,
        }
    }

    pub fn writer(&self) -> Writer {
        self.limited(Limits::default())
    }

    pub fn limited(&self, limits: Limits) -> Writer {
        Writer::open(&self.path, limits, true, || false).unwrap()
    }

    pub fn reader(&self) -> Reader {
        Reader::open(&self.path).unwrap()
    }
}

/// Series with even numbers are of the device `d0`, the others of `d1`.
pub fn key(series: u8) -> String {
    format!("m{series},device_id=d{},node=n{series} value=", series % 2)
}

pub fn store(writer: &mut Writer, points: &[Point]) -> Stored {
    store_at(writer, points, i64::MAX)
}

pub fn store_at(writer: &mut Writer, points: &[Point], now_ns: i64) -> Stored {
    for (series, time_ns, text) in points {
        let slot = writer.slot(key(*series).as_bytes(), Some(b"iiot/topic"));
        writer.add(
            slot,
            *time_ns,
            Value::new(ValueKind::Number, text.as_bytes()),
        );
    }
    writer.commit(now_ns).unwrap()
}

/// The whole content, in comparable bytes.
pub fn content(path: &Path) -> BTreeMap<String, Vec<(i64, String)>> {
    let reader = Reader::open(path).unwrap();
    let all = reader.series().unwrap();
    all.iter()
        .map(|series| {
            let (times, texts) = reader
                .texts(series.id, i64::MIN, i64::MAX, usize::MAX)
                .unwrap();
            assert_eq!(times.len() as u64, series.points);
            assert_eq!(times.first().copied(), Some(series.first_ns));
            assert_eq!(times.last().copied(), Some(series.last_ns));
            (
                series.measurement.clone(),
                times.into_iter().zip(texts).collect(),
            )
        })
        .collect()
}

/// Check that every query of the file gives the model's answer.
pub fn assert_same(history: &History, model: &Model) {
    let mut expected: BTreeMap<String, Vec<(i64, String)>> = BTreeMap::new();
    for ((series, time), text) in &model.points {
        expected
            .entry(format!("m{series}"))
            .or_default()
            .push((*time, text.clone()));
    }
    assert_eq!(content(&history.path), expected);
    let reader = history.reader();
    for series in reader.series().unwrap() {
        let number: u8 = series.measurement.trim_start_matches('m').parse().unwrap();
        let (start, end) = (series.first_ns + 7 * SECOND, series.last_ns - 3 * SECOND);
        for every in [SECOND * 7, MINUTE, 5 * MINUTE, HOUR, DAY, MINUTE + SECOND] {
            for (start, end) in [
                (start, end.max(start)),
                (series.first_ns - DAY, series.last_ns + 1),
            ] {
                for function in FUNCTIONS {
                    let range = Range {
                        start_ns: start,
                        end_ns: end,
                        every_ns: every,
                        function,
                        limit: usize::MAX,
                        timeout: None,
                    };
                    let (times, values) = reader.range(series.id, &range).unwrap();
                    let found: Vec<_> = times
                        .into_iter()
                        .zip(values.into_iter().map(Option::unwrap))
                        .collect();
                    assert_eq!(
                        found,
                        model.range(number, start, end, every, function),
                        "{every} ns {function:?}"
                    );
                }
            }
        }
    }
}
