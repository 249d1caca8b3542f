//! Typed points: names, tags, fields and texts as the profile and the document say them, and what is made of them: keys of series, JSON lines.

use iiot_core::origin::TagOrigin;
use iiot_core::point::ValueKind;
use iiot_core::series::{SeriesName, push_key};
use iiot_core::{FrameTime, Origin, Profile, Scan};
use proptest::prelude::*;
use serde_json::{Value, json};

const NOON_NS: i64 = 1_700_000_000_000_000_000;

const PROFILE: &str = r#"
name = "test"
[[point]]
measurement = "{kind}"
tags = { place = "{place}", "a b" = "x=y", gone = "{missing}" }
[point.fields]
value = { path = "value", type = "any" }
count = { path = "count", type = "integer", topic = "t/{place}" }

[[point]]
filter = "other"
measurement = "others"
others = {}
"#;

/// What one message says.
struct Said {
    /// Measurement, tags, fields (name, kind, text, topic) and time of each point.
    points: Vec<Typed>,
    keys: Vec<Vec<u8>>,
    names: Vec<SeriesName>,
    lines: String,
    json: String,
}

type Typed = (
    String,
    Vec<(String, String, TagOrigin)>,
    Vec<(String, ValueKind, String, Option<String>)>,
    i64,
);

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn say(topic: Option<&str>, document: &str, shared: &[(&str, &str)]) -> Said {
    let profile = Profile::parse(PROFILE).unwrap();
    let shared: Vec<_> = shared
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let origin = Origin::new(&profile, "iiot", &shared).unwrap();
    let mut scan = Scan::new();
    let decoded = profile
        .decode(topic.map(str::as_bytes), document.as_bytes(), &mut scan)
        .unwrap();
    let time = FrameTime::at(NOON_NS);
    let mut said = Said {
        points: Vec::new(),
        keys: Vec::new(),
        names: Vec::new(),
        lines: String::new(),
        json: String::new(),
    };
    decoded.for_each_point(&origin, time, |point| {
        assert_eq!(point.number as usize, said.points.len());
        let mut measurement = Vec::new();
        point.push_measurement(&mut measurement);
        let (mut tags, mut fields) = (Vec::new(), Vec::new());
        point.tags(|key, value, origin| tags.push((key.to_owned(), text(value), origin)));
        for field in point.fields() {
            let (mut name, mut key, mut room) = (Vec::new(), Vec::new(), Vec::new());
            field.push_name(&mut name);
            push_key(&point, &field, &mut key);
            said.keys.push(key);
            said.names.push(SeriesName::of(&point, &field));
            let topic = field.topic(&mut room).map(text);
            fields.push((text(&name), field.kind, text(&field.text()), topic));
        }
        said.points
            .push((text(&measurement), tags, fields, point.time_ns));
    });
    let (mut lines, mut json, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    decoded.write_lines(&origin, time, &mut lines);
    decoded.write_json_lines(&origin, time, &mut json, |end| ends.push(end));
    said.lines = text(&lines);
    said.json = text(&json);
    let found: Vec<usize> = said
        .json
        .match_indices('\n')
        .map(|(at, _)| at + 1)
        .collect();
    assert_eq!(ends, found);
    said
}

#[test]
fn points_have_the_names_and_texts_of_profile_and_document() {
    //! Nothing is escaped, tags without a value are left out, and a tag of the profile hides one of the configuration.
    let said = say(
        None,
        r#"{"kind":"a\\b","place":"x\ny","value":27.60,"count":4.5e1}"#,
        &[("site", "north"), ("place", "hidden")],
    );
    let tag = |key: &str, value: &str, origin| (key.to_owned(), value.to_owned(), origin);
    let expected = (
        r"a\b".to_owned(),
        vec![
            tag("a b", "x=y", TagOrigin::Profile),
            tag("place", "x\ny", TagOrigin::Profile),
            tag("site", "north", TagOrigin::Configuration),
        ],
        vec![
            ("value".into(), ValueKind::Number, "27.60".into(), None),
            (
                "count".into(),
                ValueKind::Integer,
                "45".into(),
                Some("iiot/t/x_y".into()),
            ),
        ],
        NOON_NS,
    );
    assert_eq!(said.points, [expected]);
    assert_eq!(said.names[0].tag("place"), Some("x\ny"));
}

#[test]
fn a_json_line_is_the_point() {
    //! Numbers keep their text, and no character ends a line early.
    let said = say(
        None,
        "{\"kind\":\"m\",\"place\":\"\u{2028}\\u0000\\\"\u{85}é\",\"value\":\"27.60\",\"count\":12345678901}",
        &[],
    );
    let read: Value = serde_json::from_str(&said.json).unwrap();
    let expected = json!({
        "measurement": "m",
        "tags": {"a b": "x=y", "place": "\u{2028}\0\"\u{85}é"},
        "fields": {"value": "27.60", "count": 12_345_678_901_u64},
        "time": NOON_NS,
    });
    assert_eq!(read, expected);
    assert!(!said.json.contains(['\u{2028}', '\u{85}', '\0']));
    let numbers = say(None, r#"{"kind":"m","place":"p","value":1.50E-7}"#, &[]);
    assert_eq!(
        numbers.json,
        "{\"measurement\":\"m\",\"tags\":{\"a b\":\"x=y\",\"place\":\"p\"},\"fields\":{\"value\":1.50E-7},\"time\":1700000000000000000}\n"
    );
}

proptest! {
    /// Any names and values: a key reads back as the series' name, different series have different keys, JSON lines read back as the points, and where line
    /// protocol has to replace nothing, the key is the head of the line.
    #[test]
    fn any_point_is_read_back(kind in ".{0,6}", place in ".{1,6}", value in ".{0,6}", name in ".{1,6}") {
        let document = json!({"kind": kind, "place": place, "value": value}).to_string();
        let said = say(None, &document, &[("site", &value), ("room\\", "1")]);
        let read = SeriesName::read(&said.keys[0]);
        prop_assert_eq!(read.as_ref(), said.names.first());
        let measurement = if kind.is_empty() { "_" } else { &kind };
        prop_assert_eq!(&said.names[0].measurement, measurement);
        prop_assert_eq!(said.names[0].tag("place"), Some(&*place));
        let object: Value = serde_json::from_str(&said.json).unwrap();
        prop_assert_eq!(&object["measurement"], measurement);
        prop_assert_eq!(&object["tags"]["place"], &place);
        prop_assert_eq!(&object["fields"]["value"], &value);

        let others = json!({name.as_str(): 5}).to_string();
        let said = say(Some("other"), &others, &[]);
        let of_others = said.names.iter().position(|series| series.measurement == "others");
        if let Some(at) = of_others {
            prop_assert_eq!(&said.names[at].field, &name);
            let is_plain = !name.contains(|c: char| c == '\\' || c.is_control());
            let head = format!("{}5 {NOON_NS}", text(&said.keys[at]));
            prop_assert!(!is_plain || said.lines.lines().any(|line| line == head), "{} {head}", said.lines);
        }
    }
}
