//! A profile file tells all its faults at once, each with its line and what would be right.

use iiot_core::{FrameTime, Origin, OriginError, Profile, Scan, ScanFaultReason};

fn faults(text: &str) -> Vec<String> {
    let error = Profile::parse(text).unwrap_err();
    error
        .faults
        .iter()
        .map(|fault| format!("{}: {}", fault.line, fault.message))
        .collect()
}

#[test]
fn every_fault_is_told_at_once() {
    //! Unknown keys with the nearest known one, wrong types, missing keys, wrong paths and templates.
    let text = r#"name = "a b"
descripton = "x"
[clock]
uptime_ms = "n*"
uptime_bits = 65
[time]
path = "at"
format = "unix_sec"
[[sequence]]
node = "n"
object = "nodes.*"
seq = "seq"
[[metric]]
path = "n1.t"
topic = "node1/+"
mesurement = "t"
tags = { node = 1 }
type = "int"
retain = "yes"
[[metric]]
path = "n1..h"
measurement = "{1}"
topic = "{n1.x"
"#;
    assert_eq!(
        faults(text),
        [
            "1: name: expected letters, digits, `-` and `_` only",
            "2: unknown key `descripton`; did you mean `description`?",
            "4: uptime_ms: path `n*`: expected a key, `*` or a key in quotes, found `n*`",
            "5: clock.uptime_bits: expected a whole number from 1 to 64, found 65",
            "8: format: expected one of unix_s, unix_ms, unix_us, unix_ns, rfc3339, auto, local, uptime_ms, unix_s_or_uptime_ms, found `unix_sec`; did you mean `unix_s`?",
            "12: seq: `seq` must begin with `object`, if there are wildcards, and have no others",
            "13: metric: `measurement` is missing",
            "15: topic: expected a topic without `+`, `#` and NUL that is not empty and neither begins nor ends with `/`",
            "16: unknown key `mesurement` in `metric`; did you mean `measurement`?",
            "17: tags.node: expected a string, found 1",
            "18: type: expected one of number, integer, bool, string, any, found `int`",
            "19: metric.retain: expected true or false, found the string \"yes\"",
            "21: path: path `n1..h`: expected a key, `*` or a key in quotes, found ``",
            "22: measurement: `{1}`: {1} needs 1 wildcards in the path, which has 0",
            "23: topic: `{n1.x`: a brace is not closed",
        ]
    );
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    //! The parser's own message, and the faults of what could be read.
    let seen = faults("name = \"a\"\n[[metric]\npath = \"a\"\n");
    assert!(
        seen.iter().any(|fault| fault.starts_with("2: ")),
        "{seen:?}"
    );
}

#[test]
fn a_profile_without_metrics_is_refused() {
    //! It could never give a point.
    assert_eq!(
        faults("name = \"a\""),
        ["0: at least one [[metric]] or [[point]] is needed"]
    );
}

const SMALL: &str = "name = \"small\"\n[[metric]]\npath = \"a.b\"\nmeasurement = \"m\"\n[[metric]]\npath = \"c\"\nmeasurement = \"n\"\n";

#[test]
fn a_document_without_any_value_tells_what_was_looked_for() {
    //! The fault names the paths.
    let fault = Profile::parse(SMALL)
        .unwrap()
        .scan(b"{\"x\":1}", &mut Scan::new())
        .unwrap_err();
    assert_eq!(fault.to_string(), "no usable value; looked for a.b, c");
}

#[test]
fn a_document_without_any_usable_value_tells_what_it_holds_there() {
    //! A wrong type, a null and a value behind a wildcard are named; many are counted, and long ones cut.
    let text = |profile: &str, document: &str| {
        let profile = Profile::parse(profile).unwrap();
        // The second time the shape is known.
        let mut scan = Scan::new();
        let fault = profile
            .scan(document.as_bytes(), &mut scan)
            .unwrap_err()
            .to_string();
        for _ in 0..3 {
            let again = profile.scan(document.as_bytes(), &mut scan).unwrap_err();
            assert_eq!(again.to_string(), fault);
        }
        fault
    };
    assert_eq!(
        text(SMALL, r#"{"a":{"b":"5.4"},"c":null}"#),
        "no usable value: a.b: not a number: 5.4, c: null; looked for a.b, c"
    );
    let wild = "name = \"wild\"\n[[metric]]\npath = \"v.*\"\nmeasurement = \"{1}\"\n";
    assert_eq!(
        text(wild, r#"{"v":{"x":true,"y":null}}"#),
        "no usable value: v.x: not a number: true, v.*: null; looked for v.*"
    );
    assert_eq!(
        text(
            wild,
            r#"{"v":{"a":"\u001b[2J","b":[],"c":{},"d":"","e":1e999,"f":""}}"#
        ),
        "no usable value: v.a: not a number: \\u001b[2J, v.b: not a number: [], v.c: not a number: {}, \
         v.d: not a number: \"\", and 2 more; looked for v.*"
    );
    let long = format!(r#"{{"c":"{}"}}"#, "x".repeat(100));
    assert_eq!(
        text(SMALL, &long),
        format!(
            "no usable value: c: not a number: {}...; looked for a.b, c",
            "x".repeat(40)
        )
    );
}

const EVENTS: &str = r#"
name = "events"
[[sequence]]
node = "{id}"
seq = "n"
[[metric]]
path = "battery"
measurement = "battery"
unless = ["unknown", "mains"]
[[metric]]
path = "values.*"
measurement = "{1}"
unless = ["unknown"]
[[ignore]]
name = "join"
has = ["address"]
lacks = ["n", "values"]
[[ignore]]
name = "ack"
has = ["ack"]
"#;

#[test]
fn a_document_that_the_profile_ignores_gives_nothing_but_its_name() {
    //! Whatever else is in it; null is not there, and the shapes that were learned change nothing.
    let (profile, mut scan) = (Profile::parse(EVENTS).unwrap(), Scan::new());
    for _ in 0..3 {
        for (document, name) in [
            (r#"{"address":"a"}"#, Some("join")),
            (r#"{"address":"a","battery":3}"#, Some("join")),
            (r#"{"address":"a","n":null}"#, Some("join")),
            (r#"{"ack":false,"n":5,"battery":3,"id":"x"}"#, Some("ack")),
            (r#"{"address":"a","n":7,"battery":3,"id":"x"}"#, None),
            (r#"{"ack":null,"battery":3}"#, None),
        ] {
            match (profile.scan(document.as_bytes(), &mut scan), name) {
                (Ok(decoded), None) => assert_eq!(decoded.points(), 1, "{document}"),
                (Err(fault), Some(name)) => {
                    assert_eq!(fault.reason, ScanFaultReason::Ignored { name: name.into() });
                    assert_eq!((scan.points(), scan.sequences().len()), (0, 0));
                }
                other => panic!("{document}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_document_is_ignored_by_its_topic_and_its_values_together() {
    //! Also if no point has a filter. A document that is stored was not ignored, so a stored profile ignores none.
    let text = "name = \"f\"\n[[ignore]]\nname = \"log\"\nfilter = \"plant/+/log\"\nhas = [\"level\"]\n\
                [[metric]]\npath = \"a\"\nmeasurement = \"m\"\n";
    let (profile, mut scan) = (Profile::parse(text).unwrap(), Scan::new());
    let stored = Profile::stored(text).unwrap();
    for (topic, document, is_ignored) in [
        (Some("plant/x/log"), r#"{"a":1,"level":3}"#, true),
        (Some("plant/x/log"), r#"{"a":1}"#, false),
        (Some("plant/x/t"), r#"{"a":1,"level":3}"#, false),
        (Some("plant/y/log"), r#"{"a":1,"level":3}"#, true),
        (None, r#"{"a":1,"level":3}"#, false),
    ] {
        let topic = topic.map(str::as_bytes);
        let found = profile.decode(topic, document.as_bytes(), &mut scan);
        assert_eq!(found.is_err(), is_ignored, "{topic:?} {document}");
        assert!(stored.decode(topic, document.as_bytes(), &mut scan).is_ok());
    }
}

#[test]
fn a_value_is_left_out_where_its_condition_is_true() {
    //! Only `true` is true, and only the metric with the condition is concerned.
    let (profile, mut scan) = (Profile::parse(EVENTS).unwrap(), Scan::new());
    for _ in 0..3 {
        for (conditions, points) in [
            ("", 2),
            (r#","unknown":false,"mains":false"#, 2),
            (r#","unknown":"true","mains":1"#, 2),
            (r#","mains":true"#, 1),
            (r#","unknown":true"#, 0),
        ] {
            let document = format!(r#"{{"battery":0,"values":{{"x":1}}{conditions}}}"#);
            assert_eq!(
                profile.scan(document.as_bytes(), &mut scan).is_ok(),
                points > 0
            );
            assert_eq!(scan.points(), points, "{document}");
        }
    }
}

#[test]
fn a_value_that_is_left_out_may_have_any_type() {
    //! With and without a wildcard, and in an item of an array.
    let (profile, mut scan) = (Profile::parse(EVENTS).unwrap(), Scan::new());
    for _ in 0..3 {
        for (condition, faults) in [
            (r#""mains":false"#, vec!["battery", "values.x"]),
            (r#""mains":true"#, vec!["values.x"]),
            (r#""unknown":true"#, vec![]),
        ] {
            let document = format!(r#"{{"battery":"full","values":{{"x":"?"}},{condition}}}"#);
            assert!(
                profile
                    .decode(None, document.as_bytes(), &mut scan)
                    .is_err()
            );
            let paths = |scan: &Scan| -> Vec<String> {
                let faults = scan.value_faults().iter();
                faults.map(|fault| fault.path.clone()).collect()
            };
            assert_eq!(paths(&scan), faults, "{document}");
            let array = format!("[{document}]");
            assert!(profile.decode(None, array.as_bytes(), &mut scan).is_err());
            let of_item: Vec<String> = faults.iter().map(|path| format!("[0].{path}")).collect();
            assert_eq!(paths(&scan), of_item, "{array}");
        }
    }
}

#[test]
fn what_is_wrong_with_an_ignore_is_told_with_its_line() {
    //! A rule without a path would ignore everything.
    let text = "name = \"a\"\n[[metric]]\npath = \"a\"\nmeasurement = \"a\"\nunless = \"b\"\n\
        [[ignore]]\nname = \"a b\"\nhas = []\n[[ignore]]\nname = \"c\"\nlacks = [\"x.*\", 5]\n";
    assert_eq!(
        faults(text),
        [
            "5: metric.unless: expected an array of strings, found the string \"b\"",
            "7: ignore.name: expected letters, digits, `-` and `_` only",
            "8: ignore.has: expected at least one path; without it every document would be ignored",
            "9: ignore: `has` is missing, or `filter`",
            "11: ignore.lacks: expected strings, found 5",
            "11: lacks: `x.*` must not have wildcards",
        ]
    );
}

#[test]
fn only_whole_documents_are_scanned() {
    //! Bytes behind, halves and line feeds are told with their place.
    let (profile, mut scan) = (Profile::parse(SMALL).unwrap(), Scan::new());
    let mut place = |document: &str| profile.scan(document.as_bytes(), &mut scan).unwrap_err();
    assert_eq!(place("{\"c\":1} ").reason, ScanFaultReason::BytesBehind);
    assert_eq!(
        place("{\"c\":1").to_string(),
        "the stream ended inside the document at byte 6"
    );
    assert_eq!(
        place("{\"c\":\n1}").to_string(),
        "the line ended inside the document at byte 5"
    );
    assert_eq!(place("").at, 0);
}

#[test]
fn a_scan_may_be_used_with_one_profile_after_another() {
    //! Nothing of the other profile's documents shows.
    let other = SMALL.replace("\"c\"", "\"d\"").replace("small", "other");
    let (one, other, mut scan) = (
        Profile::parse(SMALL).unwrap(),
        Profile::parse(&other).unwrap(),
        Scan::new(),
    );
    let document = b"{\"a\":{\"b\":1},\"c\":2,\"d\":3}";
    for _ in 0..3 {
        for (profile, line) in [
            (&one, "m value=1 9\nn value=2 9\n"),
            (&other, "m value=1 9\nn value=3 9\n"),
        ] {
            let (origin, mut out) = (Origin::new(profile, "", &[]).unwrap(), Vec::new());
            let decoded = profile.scan(document, &mut scan).unwrap();
            decoded.write_lines(&origin, FrameTime::at(9), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), line);
        }
    }
}

#[test]
fn prefixes_with_wildcards_and_tags_without_keys_are_refused() {
    //! They would make topics and lines that nobody accepts.
    let profile = Profile::parse(SMALL).unwrap();
    assert_eq!(
        Origin::new(&profile, "a/#", &[]).unwrap_err(),
        OriginError::TopicPrefix("a/#".into())
    );
    assert_eq!(
        Origin::new(&profile, "a", &[(String::new(), "x".into())]).unwrap_err(),
        OriginError::EmptyTagKey
    );
}

#[test]
fn a_topic_that_mqtt_does_not_allow_is_refused_where_it_is_written() {
    //! A stored one goes on: its frames must be decoded for ever.
    let profile = |topic: &str| {
        format!(
            "name = \"a\"\n[[metric]]\npath = \"t\"\ntopic = \"{topic}\"\nmeasurement = \"m\"\n"
        )
    };
    let long = "x".repeat(32_001);
    for (topic, message) in [
        (
            r"a\u0085/{t}",
            "line 4: topic: the text holds U+0085, a control character, which MQTT does not allow",
        ),
        (
            r"a\uFFFF",
            "line 4: topic: the text holds U+FFFF, no character of Unicode, which MQTT does not allow",
        ),
        (
            long.as_str(),
            "line 4: topic: the text is longer than 32000 bytes",
        ),
    ] {
        let text = profile(topic);
        assert_eq!(Profile::parse(&text).unwrap_err().to_string(), message);
        assert_eq!(Profile::stored(&text).unwrap().text(), text);
    }
}

#[test]
fn wildcards_give_a_bounded_number_of_points() {
    //! 1,024 points; what is more is told once.
    let profile = Profile::parse(
        "name = \"w\"\n[[metric]]\npath = \"*\"\nmeasurement = \"m\"\ntags = { key = \"{1}\" }\n",
    )
    .unwrap();
    let pairs: Vec<String> = (0..20_000)
        .map(|index| format!("\"k{index}\":{index}"))
        .collect();
    let mut scan = Scan::new();
    profile
        .scan(format!("{{{}}}", pairs.join(",")).as_bytes(), &mut scan)
        .unwrap();
    assert_eq!((scan.points(), scan.value_faults().len()), (1024, 1));
    assert_eq!(scan.value_faults()[0].reason.name(), "too_many");
}

#[test]
fn the_text_and_its_fingerprint_are_kept() {
    //! Journals store both.
    let profile = Profile::parse(SMALL).unwrap();
    assert_eq!((profile.name(), profile.text()), ("small", SMALL));
    assert_eq!(
        profile.hash(),
        iiot_core::hash::fingerprint(SMALL.as_bytes())
    );
}
