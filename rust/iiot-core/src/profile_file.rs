//! Reads a profile file. All faults are found at once, each with its line and, for a wrong key, the nearest right one.
//!
//! ```toml
//! name = "greenhouse"                   # required
//! description = "What it is for."
//!
//! [clock]                               # the node's clock, where documents have no time of their own
//! uptime_ms = "ts"                      # path of the milliseconds since the node started
//! uptime_bits = 32                      # it wraps there (1 to 64; 32 by default)
//! packet_counter = "sts.rx"             # path of a count that only a restart lowers
//! age_ms = "age"                        # path of the milliseconds that the values had waited at their node
//!
//! [time]                                # the document's own time
//! path = "at"
//! format = "unix_ms"                    # unix_s, unix_ms, unix_us, unix_ns, rfc3339
//!
//! [[sequence]]                          # one for every node that numbers what it sends
//! node = "node1"                        # template: the node's name
//! object = "n1"                         # path of what is compared to tell duplicates; the whole document by default
//! seq = "n1.seq"
//! boot = "n1.boot"                      # path of a number that changes when the node restarts
//! modulus = 65536                       # the number wraps there
//!
//! [[metric]]                            # at least one
//! path = "n1.t"
//! topic = "node1/temperature"           # template; without it the metric is not published
//! measurement = "temperature"           # template
//! tags = { node = "node1" }             # templates; empty ones are left out
//! field = "value"                       # default
//! type = "number"                       # default; bool, string, any
//! retain = true                         # default false
//! unless = ["n1.off"]                   # paths; the value is left out where one of them is `true`
//!
//! [[ignore]]                            # documents that are no telemetry: counted by name, neither frames nor rejects
//! name = "join"
//! has = ["devAddr"]                     # paths; each holds a value that is not null
//! lacks = ["fCnt"]                      # paths; none does
//! ```
//!
//! Paths are described in `path.rs`, templates in `template.rs`. With a wildcard in its `object`, a sequence stands for every node that matches; `seq` and
//! `boot` then begin with `object`.

use toml::de::DeTable;

use crate::moment::TimeFormat;
use crate::mqtt_text::{MAX_PART_BYTES, TextFault, text_fault_within};
use crate::path::Path;
use crate::profile::{IgnoreRule, Metric, ProfileFault, Rules, SequenceRule, ValueType};
use crate::template::{Part, Template};
use crate::toml_table::{Faults, Table};
use crate::trie::{Slot, Trie};

/// Most metrics of a profile.
const MAX_METRICS: usize = 4096;

/// Whether a profile's text is looked at for the first time, or was accepted before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    New,
    Stored,
}

pub(crate) fn read(text: &str, age: Age) -> Result<Rules, Vec<ProfileFault>> {
    let mut faults = Faults::new(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        faults.add(error.span().map(|span| span.start), error.message());
    }
    let mut rules = Rules {
        uptime_bits: 32,
        ..Rules::default()
    };
    let mut root = Table::new(root.get_ref(), None, "");
    read_root(&mut root, age, &mut rules, &mut faults);
    root.refuse_others(&mut faults);
    if faults.is_empty() && !rules.trie.build() {
        faults.add(None, "too many combinations of wildcards and names");
    }
    let numbered = (0..)
        .zip(&rules.metrics)
        .filter(|(_, metric)| metric.wildcards == 0);
    rules.single_metrics = numbered
        .map(|(number, metric)| (number, metric.slot, metric.value_type))
        .collect();
    rules.has_conditions = rules.metrics.iter().any(|metric| !metric.unless.is_empty());
    faults.into_result(rules)
}

fn read_root(root: &mut Table<'_>, age: Age, rules: &mut Rules, faults: &mut Faults) {
    rules.name = root.required_string("name", faults).unwrap_or_default();
    if !is_name(&rules.name) {
        faults.add(
            root.at("name"),
            "name: expected letters, digits, `-` and `_` only",
        );
    }
    rules.description = root.string("description", faults).unwrap_or_default();

    if let Some(mut clock) = root.table("clock", faults) {
        rules.uptime = single(&mut clock, "uptime_ms", &mut rules.trie, faults);
        rules.uptime_bits = clock
            .integer("uptime_bits", 1, 64, faults)
            .map_or(32, |bits| bits as u32);
        rules.packet_counter = single(&mut clock, "packet_counter", &mut rules.trie, faults);
        rules.age = single(&mut clock, "age_ms", &mut rules.trie, faults);
        clock.refuse_others(faults);
    }
    if let Some(mut time) = root.table("time", faults) {
        let slot = single(&mut time, "path", &mut rules.trie, faults);
        let format = time.required_string("format", faults).and_then(|name| {
            let format = TimeFormat::named(&name);
            if format.is_none() {
                faults.add_choice(time.at("format"), "format", &name, &TimeFormat::NAMES);
            }
            format
        });
        if slot.is_none() && time.at("path").is_none() {
            faults.add(time.at(""), "time: `path` is missing");
        }
        rules.time = slot.zip(format);
        time.refuse_others(faults);
    }
    for mut table in root.tables("sequence", faults) {
        let rule = read_sequence(&mut table, &mut rules.trie, faults);
        rules.sequences.extend(rule);
        table.refuse_others(faults);
    }
    let metrics = root.tables("metric", faults);
    if metrics.is_empty() && root.at("metric").is_none() {
        faults.add(None, "at least one [[metric]] is needed");
    }
    if metrics.len() > MAX_METRICS {
        faults.add(
            root.at("metric"),
            &format!("more than {MAX_METRICS} metrics"),
        );
        return;
    }
    for mut table in metrics {
        let metric = read_metric(&mut table, age, &mut rules.trie, faults);
        rules.metrics.extend(metric);
        table.refuse_others(faults);
    }
    for mut table in root.tables("ignore", faults) {
        let rule = read_ignore(&mut table, &mut rules.trie, faults);
        rules.ignores.extend(rule);
        table.refuse_others(faults);
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    name.chars().all(allowed)
}

/// The slots of paths without wildcards.
fn singles(table: &mut Table<'_>, key: &str, trie: &mut Trie, faults: &mut Faults) -> Vec<Slot> {
    let texts = table.texts(key, faults);
    texts
        .iter()
        .filter_map(|text| single_of(table, key, text, trie, faults))
        .collect()
}

fn read_ignore(table: &mut Table<'_>, trie: &mut Trie, faults: &mut Faults) -> Option<IgnoreRule> {
    let name = table.required_string("name", faults);
    if name
        .as_deref()
        .is_some_and(|name| name.is_empty() || !is_name(name))
    {
        faults.add(
            table.at("name"),
            "ignore.name: expected letters, digits, `-` and `_` only",
        );
    }
    let has = singles(table, "has", trie, faults);
    let lacks = singles(table, "lacks", trie, faults);
    if has.is_empty() && table.at("has").is_none() {
        faults.add(table.at(""), "ignore: `has` is missing");
    } else if has.is_empty() {
        faults.add(
            table.at("has"),
            "ignore.has: expected at least one path; without it every document would be ignored",
        );
    }
    Some(IgnoreRule {
        name: name?.into(),
        has,
        lacks,
    })
}

fn path(table: &mut Table<'_>, key: &str, faults: &mut Faults) -> Option<Path> {
    let text = table.string(key, faults)?;
    parse(table, key, &text, faults)
}

fn parse(table: &Table<'_>, key: &str, text: &str, faults: &mut Faults) -> Option<Path> {
    Path::parse(text)
        .map_err(|message| faults.add(table.at(key), &format!("{key}: {message}")))
        .ok()
}

/// The slot of a path without wildcards.
fn single(table: &mut Table<'_>, key: &str, trie: &mut Trie, faults: &mut Faults) -> Option<Slot> {
    let text = table.string(key, faults)?;
    single_of(table, key, &text, trie, faults)
}

fn single_of(
    table: &Table<'_>,
    key: &str,
    text: &str,
    trie: &mut Trie,
    faults: &mut Faults,
) -> Option<Slot> {
    let path = parse(table, key, text, faults)?;
    if path.wildcards() > 0 {
        faults.add(
            table.at(key),
            &format!("{key}: `{path}` must not have wildcards"),
        );
        return None;
    }
    Some(trie.want(&path))
}

fn template(
    table: &Table<'_>,
    key: &str,
    text: &str,
    wildcards: usize,
    faults: &mut Faults,
) -> Option<Template<Path>> {
    Template::parse(text, wildcards)
        .map_err(|message| faults.add(table.at(key), &format!("{key}: {message}")))
        .ok()
}

fn read_sequence(
    table: &mut Table<'_>,
    trie: &mut Trie,
    faults: &mut Faults,
) -> Option<SequenceRule> {
    let node = table.required_string("node", faults);
    let object = path(table, "object", faults);
    let seq = path(table, "seq", faults);
    let boot = path(table, "boot", faults);
    let modulus = table
        .integer("modulus", 2, i64::MAX, faults)
        .map(|modulus| modulus as u64);
    if seq.is_none() && table.at("seq").is_none() {
        faults.add(table.at(""), "sequence: `seq` is missing");
    }
    let wildcards = object.as_ref().map_or(0, Path::wildcards);
    for (key, path) in [("seq", &seq), ("boot", &boot)] {
        let Some(path) = path else { continue };
        let belongs = object
            .as_ref()
            .is_some_and(|object| path.starts_with(object));
        if path.wildcards() != wildcards || (wildcards > 0 && !belongs) {
            faults.add(table.at(key), &format!("{key}: `{path}` must begin with `object`, if there are wildcards, and have no others"));
        }
    }
    let node = template(table, "node", &node?, wildcards, faults)?;
    Some(SequenceRule {
        node: node.compile(|path| trie.want(&path)),
        object: object.map(|path| trie.want(&path)),
        seq: trie.want(&seq?),
        boot: boot.map(|path| trie.want(&path)),
        wildcards,
        modulus,
    })
}

fn read_metric(
    table: &mut Table<'_>,
    age: Age,
    trie: &mut Trie,
    faults: &mut Faults,
) -> Option<Metric> {
    let path = path(table, "path", faults);
    if path.is_none() && table.at("path").is_none() {
        faults.add(table.at(""), "metric: `path` is missing");
    }
    let wildcards = path.as_ref().map_or(0, Path::wildcards);
    let topic = table
        .string("topic", faults)
        .and_then(|text| template(table, "topic", &text, wildcards, faults));
    if topic.as_ref().is_some_and(|topic| !is_topic(topic)) {
        faults.add(table.at("topic"), "topic: expected a topic without `+`, `#` and NUL that is not empty and neither begins nor ends with `/`");
    } else if age == Age::New
        && let Some(fault) = topic.as_ref().and_then(topic_fault)
    {
        faults.add(table.at("topic"), &format!("topic: the text {fault}"));
    }
    let measurement = table.required_string("measurement", faults);
    if measurement.as_deref() == Some("") {
        faults.add(table.at("measurement"), "measurement: must not be empty");
    }
    let measurement =
        measurement.and_then(|text| template(table, "measurement", &text, wildcards, faults));
    let mut tags = Vec::new();
    for (key, text) in table.strings("tags", faults) {
        if key.is_empty() {
            faults.add(table.at("tags"), "tags: a key is empty");
        }
        if let Some(template) = template(table, "tags", &text, wildcards, faults) {
            tags.push((key, template.compile(|path| trie.want(&path))));
        }
    }
    let field = table
        .string("field", faults)
        .unwrap_or_else(|| "value".to_owned());
    if field.is_empty() {
        faults.add(table.at("field"), "field: must not be empty");
    }
    let value_type = match table.string("type", faults).as_deref() {
        None | Some("number") => ValueType::Number,
        Some("bool") => ValueType::Bool,
        Some("string") => ValueType::String,
        Some("any") => ValueType::Any,
        Some(other) => {
            faults.add_choice(
                table.at("type"),
                "type",
                other,
                &["number", "bool", "string", "any"],
            );
            ValueType::Any
        }
    };
    let retain = table.boolean("retain", faults).unwrap_or(false);
    let unless = singles(table, "unless", trie, faults);
    Some(Metric {
        slot: trie.want(&path?),
        wildcards,
        topic: topic.map(|topic| topic.compile(|path| trie.want(&path))),
        measurement: measurement?.compile(|path| trie.want(&path)),
        tags,
        field,
        value_type,
        retain,
        unless,
    })
}

fn is_topic(topic: &Template<Path>) -> bool {
    let starts = matches!(topic.parts.first(), Some(Part::Text(text)) if text.starts_with('/'));
    let ends = matches!(topic.parts.last(), Some(Part::Text(text)) if text.ends_with('/'));
    !(topic.parts.is_empty()
        || starts
        || ends
        || topic.texts().any(|text| text.contains(['+', '#', '\0'])))
}

/// What MQTT does not take of a topic's own text; what documents put into it is replaced.
fn topic_fault(topic: &Template<Path>) -> Option<TextFault> {
    let text: String = topic.texts().collect();
    text_fault_within(&text, MAX_PART_BYTES)
}
