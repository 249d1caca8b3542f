//! `influxdb-line-protocol`, the parser that InfluxDB 3 began with, as a reader of our lines that shares nothing with those who write them.

use influxdb_line_protocol::{FieldValue, parse_lines};

/// What a line says, without escapes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    pub measurement: String,
    pub tags: Vec<(String, String)>,
    pub field: String,
    pub value: String,
    pub time_ns: i64,
}

/// A number as it is shown here: our lines have floats only, and what is the same number is the same text.
pub fn number(text: &str) -> String {
    format!("{:?}", text.parse::<f64>().unwrap())
}

/// A text as it is shown here.
pub fn string(text: &str) -> String {
    format!("{text:?}")
}

/// The points of lines, sorted; each line must be one point with one field and a time.
pub fn read(lines: &str) -> Vec<Point> {
    let mut points: Vec<Point> = parse_lines(lines)
        .map(|line| {
            let line = line.unwrap_or_else(|error| panic!("{error}: {lines}"));
            let [(field, value)] = &line.field_set[..] else {
                panic!("not one field: {line}");
            };
            let tags = line.series.tag_set.iter().flatten();
            Point {
                measurement: line.series.measurement.to_string(),
                tags: tags
                    .map(|(key, value)| (key.to_string(), value.to_string()))
                    .collect(),
                field: field.to_string(),
                value: match value {
                    FieldValue::F64(value) => format!("{value:?}"),
                    FieldValue::Boolean(value) => value.to_string(),
                    FieldValue::String(text) => string(&text.to_string()),
                    FieldValue::I64(_) | FieldValue::U64(_) => panic!("a whole number: {line}"),
                },
                time_ns: line.timestamp.unwrap(),
            }
        })
        .collect();
    assert_eq!(points.len(), lines.lines().count(), "{lines}");
    points.sort();
    points
}
