//! A second decoder, slow and simple, over `serde_json` and `toml`. For each document it must give the same result as the first one.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "tests and fuzz targets each use a part"
)]

use iiot_core::{FrameTime, Origin, Profile, Scan, hash::fingerprint};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The content found in a document. Lists are sorted, because the oracle does not define the order of points.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub is_document: bool,
    pub lines: Vec<String>,
    pub topics: Vec<String>,
    pub sequences: Vec<String>,
    pub uptime_ms: Option<u64>,
    pub packet_counter: Option<u64>,
    pub time_ns: Option<i64>,
    pub age_ms: Option<u64>,
}

/// The content that the decoder finds. `scan` may have been used before, for any document.
pub fn decoded(profile: &Profile, document: &[u8], scan: &mut Scan) -> Found {
    let origin = Origin::new(profile, "p", &[("shared".into(), "s".into())]).unwrap();
    let mut found = Found::default();
    let mut out = b"kept ".to_vec();
    match profile.scan(document, scan) {
        Ok(decoded) => {
            let count = decoded.write_lines(&origin, FrameTime::at(TIME_NS), &mut out);
            assert_eq!((count, count > 0), (decoded.points(), true));
            decoded.publishes(&origin, |publish| {
                let (topic, payload) = (
                    String::from_utf8_lossy(publish.topic),
                    String::from_utf8_lossy(publish.payload),
                );
                found
                    .topics
                    .push(format!("{topic} = {payload} {}", publish.retain));
            });
        }
        Err(fault) if fault.reason.name() == "nothing_usable" => assert_eq!(scan.points(), 0),
        Err(_) => {
            assert!(
                scan.points() == 0 && scan.sequences().is_empty() && scan.uptime_ms().is_none()
            );
            return found;
        }
    }
    found.is_document = true;
    let text = String::from_utf8(out).unwrap();
    found.lines = text
        .strip_prefix("kept ")
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(found.lines.len(), scan.points());
    for sequence in scan.sequences() {
        let name = scan.node_name(sequence);
        found.sequences.push(format!(
            "{name} {:?} {} {}",
            sequence.boot, sequence.seq, sequence.object_hash
        ));
    }
    (found.uptime_ms, found.packet_counter, found.time_ns) = (
        scan.uptime_ms(),
        scan.packet_counter(),
        scan.time().and_then(|time| time.at(None)),
    );
    found.age_ms = scan.age_ms();
    for fault in scan.value_faults() {
        assert!(fault.start <= fault.end && fault.end <= document.len());
    }
    found.sort()
}

impl Found {
    fn sort(mut self) -> Self {
        self.lines.sort();
        self.topics.sort();
        self.sequences.sort();
        self
    }
}

enum Tree {
    Null,
    Bool,
    Number,
    String(String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

struct Node {
    raw: String,
    tree: Tree,
}

struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Vec<(String, Box<RawValue>)>;
    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(pairs)
    }
}

fn parse(raw: &str, depth: usize) -> Option<Node> {
    let tree = match raw.as_bytes().first()? {
        b'{' if depth < 64 => {
            let pairs = serde_json::Deserializer::from_str(raw)
                .deserialize_map(Pairs)
                .ok()?;
            let mut object: Vec<(String, Node)> = Vec::new();
            for (key, value) in pairs {
                let node = parse(value.get(), depth + 1)?;
                object.retain(|(known, _)| *known != key);
                object.push((key, node));
            }
            Tree::Object(object)
        }
        b'[' if depth < 64 => {
            let items: Vec<Box<RawValue>> = serde_json::from_str(raw).ok()?;
            Tree::Array(
                items
                    .iter()
                    .map(|item| parse(item.get(), depth + 1))
                    .collect::<Option<_>>()?,
            )
        }
        b'{' | b'[' => return None,
        b'"' => Tree::String(serde_json::from_str(raw).ok()?),
        b't' | b'f' => Tree::Bool,
        b'n' => Tree::Null,
        _ => Tree::Number,
    };
    Some(Node {
        raw: raw.to_owned(),
        tree,
    })
}

/// Every value that a path matches, with what its wildcards matched.
fn find<'n>(node: &'n Node, path: &str) -> Vec<(Vec<String>, &'n Node)> {
    let mut found = vec![(Vec::new(), node)];
    for step in path.replace('[', ".[").split('.') {
        let mut next = Vec::new();
        for (captures, node) in found {
            let index = step
                .strip_prefix('[')
                .map(|rest| rest.trim_end_matches(']'));
            let any = step == "*" || index == Some("*");
            let mut keep = |text: String, below: &'n Node| {
                let captures: Vec<String> = captures
                    .iter()
                    .cloned()
                    .chain(any.then_some(text))
                    .collect();
                next.push((captures, below));
            };
            match &node.tree {
                Tree::Object(pairs) if index.is_none() || any => {
                    for (key, below) in pairs.iter().filter(|(key, _)| any || key == step) {
                        keep(key.clone(), below);
                    }
                }
                Tree::Array(items) if index.is_some() || any => {
                    let wanted = index.and_then(|index| index.parse::<usize>().ok());
                    for (number, below) in items
                        .iter()
                        .enumerate()
                        .filter(|(number, _)| any || wanted == Some(*number))
                    {
                        keep(number.to_string(), below);
                    }
                }
                _ => {}
            }
        }
        found = next;
    }
    found
}

fn text(node: &Node) -> String {
    match &node.tree {
        Tree::String(text) => text.clone(),
        Tree::Bool | Tree::Number => node.raw.clone(),
        _ => String::new(),
    }
}

/// MQTT 1.5.4, from its table: what a receiver may close the connection for.
fn is_not_for_mqtt(c: char) -> bool {
    matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fdd0}'..='\u{fdef}')
        || c as u32 % 0x1_0000 >= 0xFFFE
}

fn fill(template: &str, root: &Node, captures: &[String], topic: bool) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        let (hole, behind) = behind.split_once('}').unwrap();
        let mut value = match hole.parse::<usize>() {
            Ok(number) => captures[number - 1].clone(),
            Err(_) => find(root, hole)
                .first()
                .map(|(_, node)| text(node))
                .unwrap_or_default(),
        };
        if topic {
            value = if value.is_empty() {
                "_".to_owned()
            } else {
                value.replace(|c| matches!(c, '+' | '#' | '/') || is_not_for_mqtt(c), "_")
            };
        }
        out += before;
        out += &value;
        rest = behind;
    }
    out + rest
}

fn escape(text: &str, special: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            _ if special.contains(character) => out.extend(['\\', character]),
            _ => out.push(character),
        }
    }
    out
}

fn count(root: &Node, path: &str) -> Option<u64> {
    find(root, path).first().and_then(|(_, node)| {
        if matches!(node.tree, Tree::Number) {
            node.raw.parse().ok()
        } else {
            None
        }
    })
}

fn string<'t>(table: &'t toml::Table, key: &str) -> Option<&'t str> {
    table.get(key).and_then(toml::Value::as_str)
}

fn tables<'t>(table: &'t toml::Table, key: &str) -> impl Iterator<Item = &'t toml::Table> {
    table
        .get(key)
        .and_then(toml::Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(toml::Value::as_table)
}

/// What the oracle says. Only times in `unix_ms` are known to it.
pub fn expected(profile: &str, document: &[u8]) -> Found {
    let profile: toml::Table = profile.parse().unwrap();
    let mut found = Found::default();
    let Ok(document) = std::str::from_utf8(document) else {
        return found;
    };
    if document.contains('\n') || !document.starts_with('{') || !document.ends_with('}') {
        return found;
    }
    if serde_json::from_str::<&RawValue>(document).is_err() {
        return found;
    }
    let Some(root) = parse(document, 0) else {
        return found;
    };
    found.is_document = true;
    for metric in tables(&profile, "metric") {
        for (captures, node) in find(&root, string(metric, "path").unwrap()) {
            push_point(metric, &root, &captures, node, &mut found);
        }
    }
    for rule in tables(&profile, "sequence") {
        let whole = vec![(Vec::new(), &root)];
        let object_path = string(rule, "object");
        let objects = object_path.map_or(whole, |path| find(&root, path));
        for (captures, object) in objects {
            let below = |path: &str| -> Option<u64> {
                match object_path.and_then(|prefix| path.strip_prefix(prefix)) {
                    Some(rest) => count(object, rest.trim_start_matches('.')),
                    None => count(&root, path),
                }
            };
            if let Some(seq) = below(string(rule, "seq").unwrap()) {
                let boot = string(rule, "boot").and_then(below);
                let name = fill(string(rule, "node").unwrap(), &root, &captures, false);
                found.sequences.push(format!(
                    "{name} {boot:?} {seq} {}",
                    fingerprint(object.raw.as_bytes())
                ));
            }
        }
    }
    let clock = profile.get("clock").and_then(toml::Value::as_table);
    found.uptime_ms = clock.and_then(|clock| count(&root, string(clock, "uptime_ms")?));
    found.packet_counter = clock.and_then(|clock| count(&root, string(clock, "packet_counter")?));
    found.age_ms = clock.and_then(|clock| count(&root, string(clock, "age_ms")?));
    let time = profile.get("time").and_then(toml::Value::as_table);
    found.time_ns =
        time.and_then(|time| milliseconds(find(&root, string(time, "path")?).first()?.1));
    found.sort()
}

fn milliseconds(node: &Node) -> Option<i64> {
    if !matches!(node.tree, Tree::Number) {
        return None;
    }
    let (decimal, exponent) = node.raw.split_once(['e', 'E']).unwrap_or((&node.raw, "0"));
    let unsigned = decimal.trim_start_matches('-');
    let (whole, decimals) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = whole.chars().chain(decimals.chars());
    // As nanoseconds, the number has six digits more before its point.
    let places = whole.len() as i64 + 6 + exponent.parse::<i64>().ok()?;
    let places = usize::try_from(places.clamp(0, 1_000)).ok()?;
    let digits = digits.chain(std::iter::repeat('0')).take(places);
    let nanos: i128 = format!("0{}", digits.collect::<String>()).parse().ok()?;
    i64::try_from(if decimal.starts_with('-') {
        -nanos
    } else {
        nanos
    })
    .ok()
}

/// What a point is, before anything is escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    pub measurement: String,
    pub tags: Vec<(String, String)>,
    pub value: Value,
}

/// Numbers are text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Number(String),
    Bool(String),
    Text(String),
}

/// The time of every point that [`expected_points`] gives.
pub const TIME_NS: i64 = -5;

/// The points that the oracle finds, in any order; none where it refuses the document.
pub fn expected_points(profile: &str, document: &[u8]) -> Vec<Point> {
    let table: toml::Table = profile.parse().unwrap();
    if !expected(profile, document).is_document {
        return Vec::new();
    }
    let root = parse(std::str::from_utf8(document).unwrap(), 0).unwrap();
    let mut points = Vec::new();
    for metric in tables(&table, "metric") {
        for (captures, node) in find(&root, string(metric, "path").unwrap()) {
            points.extend(point(metric, &root, &captures, node));
        }
    }
    points
}

/// Databases disagree about backslashes and control characters in names, so lines have none.
fn plain(text: &str) -> String {
    text.replace(|c| matches!(c, '\0'..='\x1f' | '\x7f' | '\\'), "_")
}

fn point(metric: &toml::Table, root: &Node, captures: &[String], node: &Node) -> Option<Point> {
    let wanted = string(metric, "type").unwrap_or("number");
    let value = match &node.tree {
        Tree::Number
            if matches!(wanted, "number" | "any")
                && node.raw.parse::<f64>().unwrap().is_finite() =>
        {
            Value::Number(node.raw.clone())
        }
        Tree::Bool if matches!(wanted, "bool" | "any") => Value::Bool(node.raw.clone()),
        Tree::String(text) if matches!(wanted, "string" | "any") => {
            Value::Text(text.replace(|c| matches!(c, '\0'..='\x1f' | '\x7f'), " "))
        }
        _ => return None,
    };
    let measurement = fill(
        string(metric, "measurement").unwrap(),
        root,
        captures,
        false,
    );
    let measurement = match measurement.strip_prefix('#') {
        _ if measurement.is_empty() => "_".to_owned(),
        Some(rest) => format!("_{}", plain(rest)),
        None => plain(&measurement),
    };
    let mut tags = vec![("shared".to_owned(), "s".to_owned())];
    for (key, template) in metric
        .get("tags")
        .and_then(toml::Value::as_table)
        .into_iter()
        .flatten()
    {
        let value = fill(template.as_str().unwrap(), root, captures, false);
        tags.push((plain(key), plain(&value)));
    }
    tags.retain(|(_, value)| !value.is_empty());
    tags.sort();
    Some(Point {
        measurement,
        tags,
        value,
    })
}

fn push_point(
    metric: &toml::Table,
    root: &Node,
    captures: &[String],
    node: &Node,
    found: &mut Found,
) {
    let Some(point) = point(metric, root, captures, node) else {
        return;
    };
    let mut line = escape(&point.measurement, ", ");
    for (key, value) in &point.tags {
        line.push_str(&[",", &escape(key, ", ="), "=", &escape(value, ", =")].concat());
    }
    let value = match &point.value {
        Value::Text(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        Value::Number(text) | Value::Bool(text) => text.clone(),
    };
    found.lines.push(format!("{line} value={value} {TIME_NS}"));
    if let Some(topic) = string(metric, "topic") {
        let retain = metric
            .get("retain")
            .and_then(toml::Value::as_bool)
            .unwrap_or(false);
        found.topics.push(format!(
            "p/{} = {} {retain}",
            fill(topic, root, captures, true),
            text(node)
        ));
    }
}
