//! Runs the shared vectors of `tests/vectors/decode`: the package in Python runs the same files.
//!
//! With `IIOT_BLESS=1` the expected parts are written anew from what came out; read the difference before committing it.

use crate::third_parser;
use std::path::{Path, PathBuf};

use iiot_core::{FrameTime, Framed, Framer, Origin, Profile, Scan};
use serde_json::{Map, Value, json};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/decode")
}

fn vectors() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    });
    paths.sort();
    paths
}

fn profile(name: &str) -> Profile {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../../python/iiot_gateway/profiles/{name}.toml"));
    Profile::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// What comes out of a vector's input, cut into chunks of `size`.
fn run(vector: &Value, size: usize) -> Map<String, Value> {
    let profile = profile(vector["profile"].as_str().unwrap());
    let tags: Vec<(String, String)> = serde_json::from_value(vector["tags"].clone()).unwrap();
    let origin = Origin::new(&profile, vector["topic_prefix"].as_str().unwrap(), &tags).unwrap();
    let time_ns = vector["time_ns"].as_i64().unwrap();
    let (mut framer, mut scan) = (
        Framer::new(vector["max_document_bytes"].as_u64().unwrap() as usize),
        Scan::new(),
    );
    let (mut seen, mut lines, mut topics, mut rejects, mut faults) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());

    let mut see = |framed: Framed<'_>| match framed {
        Framed::Document { bytes, offset, end } => {
            seen.push(
                json!({"document": String::from_utf8_lossy(bytes), "offset": offset, "end": end}),
            );
            match profile.scan(bytes, &mut scan) {
                Err(fault) => {
                    rejects.push(json!({"offset": offset, "reason": fault.reason.name()}));
                }
                Ok(decoded) => {
                    decoded.write_lines(&origin, FrameTime::at(time_ns), &mut lines);
                    decoded.publishes(&origin, |publish| {
                        let (topic, payload) = (
                            String::from_utf8_lossy(publish.topic),
                            String::from_utf8_lossy(publish.payload),
                        );
                        topics.push(format!(
                            "{topic} = {payload}{}",
                            if publish.retain { " (retained)" } else { "" }
                        ));
                    });
                }
            }
            for fault in scan.value_faults() {
                faults.push(json!({"path": fault.path, "reason": fault.reason.name()}));
            }
        }
        Framed::Damaged {
            reason,
            excerpt,
            offset,
            at,
            end,
        } => {
            let excerpt = String::from_utf8_lossy(excerpt);
            seen.push(json!({"damaged": reason.name(), "offset": offset, "at": at, "end": end}));
            rejects.push(json!({"offset": offset, "reason": reason.name(), "excerpt": excerpt}));
        }
    };
    for chunk in vector["input"].as_str().unwrap().as_bytes().chunks(size) {
        framer.push(chunk);
        while let Some(framed) = framer.next() {
            see(framed);
        }
    }
    while let Some(framed) = framer.finish() {
        see(framed);
    }

    let lines: Vec<&str> = std::str::from_utf8(&lines).unwrap().lines().collect();
    let expected = json!({"frames": seen, "lines": lines, "topics": topics, "rejects": rejects, "value_faults": faults});
    expected.as_object().unwrap().clone()
}

#[test]
fn every_vector_gives_what_it_expects_in_any_chunking() {
    //! Frames, lines, topics and rejects are those of the file.
    let paths = vectors();
    assert!(paths.len() >= 20, "found {} vectors only", paths.len());

    for path in paths {
        let mut vector: Value =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for size in [usize::MAX, 7, 1] {
            let expected = run(&vector, size.min(1 << 20));
            if std::env::var_os("IIOT_BLESS").is_some() && size == usize::MAX {
                vector["expected"] = Value::Object(expected.clone());
                // Another test may read the file at this moment.
                let written = path.with_extension("written");
                let text = serde_json::to_string_pretty(&vector).unwrap() + "\n";
                std::fs::write(&written, text).unwrap();
                std::fs::rename(&written, &path).unwrap();
            }
            assert_eq!(
                vector["expected"],
                Value::Object(expected),
                "{} in chunks of {size}",
                path.display()
            );
        }
    }
}

/// Names without escapes, as they stand in a line.
fn escaped(text: &str, special: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if special.contains(character) {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

#[test]
fn a_parser_of_databases_reads_every_line_as_it_stands() {
    //! Measurement, tags and time written anew give the line's text around its value, and the value is what that text says.
    let mut count = 0;
    for path in vectors() {
        let text = std::fs::read_to_string(path).unwrap();
        let vector: Value = serde_json::from_str(&text).unwrap();
        for line in vector["expected"]["lines"].as_array().unwrap() {
            let line = line.as_str().unwrap();
            let [point] = &third_parser::read(line)[..] else {
                panic!("not one point: {line}");
            };
            let tags = point
                .tags
                .iter()
                .map(|(key, value)| format!(",{}={}", escaped(key, ", ="), escaped(value, ", =")));
            let head = escaped(&point.measurement, ", ") + &tags.collect::<String>();
            let value = line
                .strip_prefix(&format!("{head} {}=", point.field))
                .and_then(|rest| rest.strip_suffix(&format!(" {}", point.time_ns)))
                .unwrap_or_else(|| panic!("{point:?} is not {line}"));
            let expected = match value.as_bytes()[0] {
                b'"' => third_parser::string(&serde_json::from_str::<String>(value).unwrap()),
                b't' | b'f' => value.to_owned(),
                _ => third_parser::number(value),
            };
            assert_eq!(point.value, expected, "{line}");
            count += 1;
        }
    }
    assert!(count > 100, "{count} lines only");
}
