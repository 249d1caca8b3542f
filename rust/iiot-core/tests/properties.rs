//! Properties of framing and decoding, on inputs that proptest makes and shrinks.

use crate::{frames, oracle, third_parser};
use iiot_core::{FrameTime, Origin, Profile, Scan};
use proptest::prelude::*;

const EVERYTHING: &str = include_str!("profiles/everything.toml");

/// Pieces of streams: documents, halves of documents, log text, and what parsers trip over.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let texts = prop::sample::select(vec![
        r#"{"ts":1,"id":"N2","n1":{"t":7.5,"seq":1}}"#,
        r#"{"ts":12,"id":"N2","n1":{"t":-0.25,"seq":2}}"#,
        r#"{"ts":1,"n1":{"t":7"#,
        r#"{"ts":1,"id":"N"#,
        r#""id":"N2",n1":{"t":9.8}}"#,
        r#"{"a":"{\"b\":1}","n1":{"t":1}}"#,
        "[INFO ] JSON sent via VCP: ",
        "\\n",
        "\\n (fw src/main.rs:573)\n",
        "\n",
        "{\"",
        "{",
        "}",
        "{}",
        "[",
        ",",
        ":",
        "\"",
        "\\",
        " ",
        "\r",
        "n",
        "1e5",
        "Foo { x: 1 }",
        "\u{1b}[0m",
        "└─",
    ]);
    prop_oneof![9 => texts.prop_map(|text| text.as_bytes().to_vec()), 1 => prop::collection::vec(any::<u8>(), 0..4)]
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(piece(), 0..24).prop_map(|pieces| pieces.concat())
}

/// Values of documents in the shape that the profile looks for.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "1",
        "-2.50",
        "1e5",
        "1E400",
        "12345678901234567890",
        "true",
        "false",
        "null",
        "\"a\"",
        "\"a\\\"\\u00e9 b\"",
        "\"\"",
        "\"x,y=z\\n\"",
        "0",
        "-0",
        "01",
        "[]",
        "{}",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "\"#1 \\\\\"",
        "\"a\\\\\\\"=, \"",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 5, |inner| {
        let key = prop::sample::select(vec![
            "t", "v", "seq", "boot", "deep", "id", "n1", "nodes", "node3", "\\u0074", "a b",
            "#,=\\\\", "list", "ts", "at", "ok", "sts", "rx",
        ]);
        let pairs = prop::collection::vec((key, inner.clone()), 0..6);
        let object = pairs.prop_map(|pairs| {
            let pairs: Vec<String> = pairs
                .iter()
                .map(|(key, value)| format!("\"{key}\":{value}"))
                .collect();
            format!("{{{}}}", pairs.join(","))
        });
        let array =
            prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(" , ")));
        prop_oneof![3 => object, 1 => array]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_chunking_gives_the_same_frames(
        stream in stream(),
        sizes in prop::collection::vec(1_usize..40, 1..6),
        max in prop::sample::select(vec![8_usize, 40, 65_536]),
    ) {
        let profile = Profile::parse(EVERYTHING).unwrap();
        frames::check(&stream, &sizes, max, &profile);
    }

    #[test]
    fn the_decoder_agrees_with_its_oracle(values in prop::collection::vec(value(), 1..6)) {
        let profile = Profile::parse(EVERYTHING).unwrap();
        let mut scan = Scan::new();
        for document in values.iter().chain(&values) {
            let decoded = oracle::decoded(&profile, document.as_bytes(), &mut scan);
            prop_assert_eq!(decoded, oracle::expected(EVERYTHING, document.as_bytes()), "{}", document);
        }
    }

    /// Measurement, tags, value and time, with what needs an escape in them. Numbers are compared as numbers, because that is what it reads.
    #[test]
    fn a_parser_of_databases_reads_what_the_oracle_says(values in prop::collection::vec(value(), 1..6)) {
        let profile = Profile::parse(EVERYTHING).unwrap();
        let origin = Origin::new(&profile, "p", &[("shared".into(), "s".into())]).unwrap();
        let mut scan = Scan::new();
        for document in &values {
            let mut lines = Vec::new();
            if let Ok(decoded) = profile.scan(document.as_bytes(), &mut scan) {
                decoded.write_lines(&origin, FrameTime::at(oracle::TIME_NS), &mut lines);
            }
            let lines = String::from_utf8(lines).unwrap();
            let mut expected: Vec<third_parser::Point> = oracle::expected_points(EVERYTHING, document.as_bytes())
                .into_iter()
                .map(|point| third_parser::Point {
                    measurement: point.measurement,
                    tags: point.tags,
                    field: "value".into(),
                    value: match point.value {
                        oracle::Value::Number(text) => third_parser::number(&text),
                        oracle::Value::Bool(text) => text,
                        oracle::Value::Text(text) => third_parser::string(&text),
                    },
                    time_ns: oracle::TIME_NS,
                })
                .collect();
            expected.sort();
            prop_assert_eq!(third_parser::read(&lines), expected, "{}", lines);
        }
    }

    #[test]
    fn no_text_panics_a_profile(text in "\\PC{0,40}", key in "[a-z_]{1,12}", value in "\\PC{0,20}") {
        let _ = Profile::parse(&text);
        let _ = Profile::parse(&format!("name = \"x\"\n{key} = \"{value}\"\n[[metric]]\npath = '{value}'\n{key} = '{text}'\n"));
    }
}
