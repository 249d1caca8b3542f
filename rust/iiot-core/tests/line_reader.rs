//! Line protocol that others write: every line becomes a document, of which the built-in profile makes the same point, and a bad one costs itself.

use std::collections::BTreeMap;

use iiot_core::{FrameTime, Origin, Precision, Profile, Scan, read_lines};
use influxdb_line_protocol::{FieldValue, parse_lines};
use proptest::prelude::*;

const PROFILE: &str = include_str!("../../../python/iiot_gateway/profiles/line-protocol.toml");
const NOON_NS: i64 = 1_764_417_600_000_000_000;

/// Documents, or what is wrong, of a body in nanoseconds.
fn read(body: &str) -> Vec<String> {
    let read = read_lines(body.as_bytes(), Precision::Nanoseconds, 1000).unwrap();
    let texts = read.into_iter().map(|line| match line {
        Ok(document) => String::from_utf8(document).unwrap(),
        Err(fault) => fault.to_string(),
    });
    texts.collect()
}

/// The line that the profile makes of a document.
fn written(document: &[u8]) -> Result<String, String> {
    let profile = Profile::parse(PROFILE).unwrap();
    let origin = Origin::new(&profile, "", &[]).unwrap();
    let mut scan = Scan::new();
    let decoded = profile
        .decode(Some(b"$api/line"), document, &mut scan)
        .map_err(|fault| fault.to_string())?;
    assert_eq!(decoded.value_faults(), []);
    let time_ns = decoded.own_time(NOON_NS, None).unwrap_or(NOON_NS);
    let mut out = Vec::new();
    decoded.write_lines(
        &origin,
        FrameTime {
            time_ns,
            ..FrameTime::at(NOON_NS)
        },
        &mut out,
    );
    Ok(String::from_utf8(out)
        .unwrap()
        .trim_end_matches('\n')
        .to_owned())
}

#[test]
fn types_and_texts_are_kept() {
    let body = "# a comment\n\nweather,place=hall\\ 1,b=2 t=54.10,n=45000i,u=7u,on=t,off=FALSE,s=\"a \\\"b\\\" \\\\ c,\nd\" 1764417600000000000\r\n  m f=1e5 \n";
    assert_eq!(
        read(body),
        [
            r#"{"measurement":"weather","tags":{"place":"hall 1","b":"2"},"time":1764417600000000000,"floats":{"t":54.10},"integers":{"n":45000,"u":7},"booleans":{"on":true,"off":false},"strings":{"s":"a \"b\" \\ c,\nd"}}"#,
            r#"{"measurement":"m","floats":{"f":1e5}}"#,
        ]
    );
    let documents = read(body);
    assert_eq!(
        written(documents[0].as_bytes()).unwrap(),
        format!(
            "weather,b=2,place=hall\\ 1 t=54.10,n=45000i,u=7i,on=true,off=false,s=\"a \\\"b\\\" \\\\ c, d\" {NOON_NS}"
        )
    );
}

#[test]
fn escapes_are_those_of_influxdb() {
    for (line, document) in [
        (
            r"a\,b\ c\=d f=1",
            r#"{"measurement":"a,b c\\=d","floats":{"f":1}}"#,
        ),
        (
            r"m,k\,1\=2\ 3=v\,1\=2\ 3 f\,\=\ x=1",
            r#"{"measurement":"m","tags":{"k,1=2 3":"v,1=2 3"},"floats":{"f,= x":1}}"#,
        ),
        (
            r"m\n,t=\x f=1",
            r#"{"measurement":"m\\n","tags":{"t":"\\x"},"floats":{"f":1}}"#,
        ),
        (
            r#"m"q,t="a f="b""#,
            r#"{"measurement":"m\"q","tags":{"t":"\"a"},"strings":{"f":"b"}}"#,
        ),
        (
            r#"m f="a\nb\x""#,
            r#"{"measurement":"m","strings":{"f":"a\\nb\\x"}}"#,
        ),
        (
            r#"m f\="x=1"#,
            r#"{"measurement":"m","floats":{"f=\"x":1}}"#,
        ),
        (
            "m f=1,f=2i,g=3,f=\"z\"",
            r#"{"measurement":"m","floats":{"g":3},"strings":{"f":"z"}}"#,
        ),
        (
            "é,ü=ä ö=\"€\"",
            r#"{"measurement":"é","tags":{"ü":"ä"},"strings":{"ö":"€"}}"#,
        ),
        (
            "m f=+1,g=.5,h=-1.,i=007i",
            r#"{"measurement":"m","floats":{"f":1,"g":0.5,"h":-1},"integers":{"i":7}}"#,
        ),
    ] {
        assert_eq!(read(line), [document], "{line}");
    }
}

#[test]
fn a_bad_line_costs_itself_and_says_where() {
    let body = "m f=1\nm\nm f=\nm,t f=1\nm,t= f=1\nm,t=1,t=2 f=1\n,a=b f=1\nm f=1x\nm f=1 now\nm f=\"x\nm g=2\n";
    let wrong: Vec<String> = read(body)
        .into_iter()
        .map(|text| text.split(": ").next().unwrap().to_owned())
        .collect();
    assert_eq!(
        wrong,
        [
            "{\"measurement\":\"m\",\"floats\":{\"f\":1}}",
            "line 2, column 2",
            "line 3, column 5",
            "line 4, column 4",
            "line 5, column 5",
            "line 6, column 7",
            "line 7, column 1",
            "line 8, column 5",
            "line 9, column 7",
            "line 10, column 5",
        ]
    );
    for (line, words) in [
        (
            "m f=9223372036854775808i",
            "to 9223372036854775807 is expected before `i`",
        ),
        ("m f=9223372036854775808u", "larger ones are not kept"),
        ("m f=-1u", "from 0"),
        ("m f=1e999", "a number"),
        ("m f=NaN", "a number"),
        ("m f=\"a\"b", "behind a text"),
        ("m f=1 9223372036854775808", "fits 64 bits"),
        ("m f=1 1.5", "whole number"),
        ("m f=1 1 2", "whole number"),
    ] {
        let text = read(line);
        assert!(text[0].contains(words), "{line}: {}", text[0]);
    }
    let bytes = read_lines(b"m f=1\nm,t=\xff f=1", Precision::Nanoseconds, 10).unwrap();
    let fault = bytes[1].as_ref().unwrap_err();
    assert_eq!(
        (fault.line, fault.column, fault.message),
        (2, 5, "not UTF-8")
    );
}

#[test]
fn times_have_the_unit_of_the_request() {
    for (name, text) in [
        ("ns", "1764417600000000000"),
        ("us", "1764417600000000"),
        ("ms", "1764417600000"),
        ("s", "1764417600"),
    ] {
        let precision = Precision::named(name).unwrap();
        let read = read_lines(format!("m f=1 {text}").as_bytes(), precision, 1).unwrap();
        let document = read[0].as_ref().unwrap();
        assert!(
            document.ends_with(b"\"time\":1764417600000000000,\"floats\":{\"f\":1}}"),
            "{name}"
        );
    }
    assert_eq!(Precision::named("h"), None);
    let read = read_lines(b"m f=1 9223372036854775807", Precision::Seconds, 1).unwrap();
    assert!(read[0].is_err());
    // Before 1970, and long ago, is a time as any other.
    let documents = self::read("m f=1 -1000000000");
    assert_eq!(
        written(documents[0].as_bytes()).unwrap(),
        "m f=1 -1000000000"
    );
}

#[test]
fn more_lines_than_allowed_are_none() {
    let body = "m f=1\n# comment\n\nm f=2\n";
    assert_eq!(
        read_lines(body.as_bytes(), Precision::Seconds, 2)
            .unwrap()
            .len(),
        2
    );
    let refused = read_lines(body.as_bytes(), Precision::Seconds, 1).unwrap_err();
    assert_eq!(refused.to_string(), "more than 1 lines");
}

/// What a line says, for comparing.
type Said = (
    String,
    BTreeMap<String, String>,
    BTreeMap<String, String>,
    Option<i64>,
);

/// As the other parser reads a line.
fn theirs(line: &str) -> Option<Said> {
    let mut lines = parse_lines(line);
    let parsed = lines.next()?.ok()?;
    if lines.next().is_some() {
        return None;
    }
    let tags = parsed.series.tag_set.iter().flatten();
    let fields = parsed.field_set.iter().map(|(key, value)| {
        let value = match value {
            FieldValue::I64(number) => format!("{number}i"),
            FieldValue::U64(number) => format!("{number}i"),
            FieldValue::F64(number) => format!("{number:?}"),
            FieldValue::String(text) => format!("\"{text}"),
            FieldValue::Boolean(value) => value.to_string(),
        };
        (key.to_string(), value)
    });
    Some((
        parsed.series.measurement.to_string(),
        tags.map(|(key, value)| (key.to_string(), value.to_string()))
            .collect(),
        fields.collect(),
        parsed.timestamp,
    ))
}

/// As our document says it.
fn ours(line: &str) -> Option<Said> {
    let mut read = read_lines(line.as_bytes(), Precision::Nanoseconds, 10).unwrap();
    let document: serde_json::Value = serde_json::from_slice(&read.pop()?.ok()?).unwrap();
    if !read.is_empty() {
        return None;
    }
    let object = |name: &str| document[name].as_object().into_iter().flatten();
    let mut fields = BTreeMap::new();
    for (key, value) in object("floats") {
        fields.insert(key.clone(), format!("{:?}", value.as_f64().unwrap()));
    }
    for (key, value) in object("integers") {
        fields.insert(key.clone(), format!("{value}i"));
    }
    for (key, value) in object("booleans") {
        fields.insert(key.clone(), value.to_string());
    }
    for (key, value) in object("strings") {
        fields.insert(key.clone(), format!("\"{}", value.as_str().unwrap()));
    }
    Some((
        document["measurement"].as_str().unwrap().to_owned(),
        object("tags")
            .map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()))
            .collect(),
        fields,
        document["time"].as_i64(),
    ))
}

/// A line in which every piece is one that both must take.
fn line() -> impl Strategy<Value = String> {
    let name = || "[a-zé]{1,3}(\\\\[ ,=][a-z]{1,2})?";
    let value = prop_oneof![
        "-?(0|[1-9][0-9]{0,4})(\\.[0-9]{1,4})?(e-?[0-9]{1,2})?",
        "-?(0|[1-9][0-9]{0,17})i",
        "(0|[1-9][0-9]{0,17})u",
        "t|T|true|True|TRUE|f|F|false|False|FALSE",
        "\"([a-z ,=#é]|\\\\\"|\\\\\\\\|\n){0,6}\"",
    ];
    let tags = proptest::collection::btree_map(name(), name(), 0..4);
    let fields = proptest::collection::vec((name(), value), 1..5);
    let time = proptest::option::of(-1_000_000_000_000i64..2_000_000_000_000_000_000);
    let measurement = "[a-zé]{1,3}(\\\\[ ,][a-z]{1,2})?";
    (measurement, tags, fields, time).prop_map(|(measurement, tags, fields, time)| {
        let tags = tags.iter().map(|(key, value)| format!(",{key}={value}"));
        let fields: Vec<String> = fields
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let time = time.map_or(String::new(), |time| format!(" {time}"));
        let tags: Vec<String> = tags.collect();
        [
            measurement,
            tags.concat(),
            " ".to_owned(),
            fields.join(","),
            time,
        ]
        .concat()
    })
}

proptest! {
    /// Another parser reads the same in every good line.
    #[test]
    fn another_parser_reads_the_same(line in line()) {
        let found = ours(&line);
        prop_assert!(found.is_some(), "{:?} {:?}", line, read(&line));
        prop_assert_eq!(found, theirs(&line), "{:?}", line);
    }

    /// What a document of a line becomes is the line again, whichever tags and fields it has.
    #[test]
    fn what_is_read_is_written_again(line in line()) {
        let read = read_lines(line.as_bytes(), Precision::Nanoseconds, 10).unwrap();
        let document = read[0].as_ref().unwrap();
        let written = written(document).unwrap();
        let (mut again, wanted) = (ours(&written).unwrap(), ours(&line).unwrap());
        // Line feeds in texts become spaces when a line is written; a line without a time has that of its arrival.
        again.3 = wanted.3.and(again.3);
        let spaced: BTreeMap<String, String> = wanted.2.into_iter().map(|(key, value)| (key, value.replace('\n', " "))).collect();
        prop_assert_eq!(again, (wanted.0, wanted.1, spaced, wanted.3));
    }

    /// Any bytes give documents that are JSON, or faults within their lines, and no panic.
    #[test]
    fn any_bytes_are_read_without_panic(body in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b','), Just(b'='), Just(b' '), Just(b'"'), Just(b'\\'), Just(b'\n'), Just(b'1'), Just(b'm')], 0..200)) {
        let lines = body.split(|byte| *byte == b'\n').count();
        for line in read_lines(&body, Precision::Milliseconds, usize::MAX).unwrap() {
            match line {
                Ok(document) => {
                    prop_assert!(serde_json::from_slice::<serde_json::Value>(&document).is_ok());
                    prop_assert!(written(&document).is_ok());
                }
                Err(fault) => prop_assert!((1..=lines).contains(&fault.line) && (1..=body.len() + 1).contains(&fault.column)),
            }
        }
    }
}
