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
//! path = "at"                           # or a list, of which the first that leads to a value counts
//! format = "unix_ms"                    # unix_s, unix_ms, unix_us, unix_ns, rfc3339, auto, local, uptime_ms, unix_s_or_uptime_ms, "%d.%m.%Y %H:%M"
//! zone = "Europe/Vienna"                # of `local` and `%`: the zone whose clock the document shows
//! device = "id"                         # path of what names the device, for uptimes; the topic by default
//! repeats = "real"                      # equal documents with one time are both real; by default the second one is a duplicate
//! earliest = "2020-01-01T00:00:00Z"     # an earlier time is not believed, and the document gets the time of its arrival
//! most_ahead_s = 86400                  # nor is one further ahead of its arrival
//!
//! [[sequence]]                          # one for every node that numbers what it sends
//! node = "node1"                        # template: the node's name
//! object = "n1"                         # path of what is compared to tell duplicates; the whole document by default
//! seq = "n1.seq"
//! boot = "n1.boot"                      # path of a number that changes when the node restarts
//! modulus = 65536                       # the number wraps there
//!
//! [receiver]                            # what hears the nodes, where documents say something of it
//! rssi = "sig.rssi"                     # path of the strength, in dBm, of the packet that the document tells of
//! snr = "sig.snr"                       # path of its distance from the noise, in dB
//! names = ["signal", "stats"]           # where the tag `node` is one of these, the value is of the receiver itself
//!
//! [[metric]]                            # at least one metric or point
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
//!
//! [[alert]]                             # what the gateway warns of; docs/alerts.md describes the keys, and the configuration reads them
//! name = "too_warm"
//! filter = "plant/+/log"                # only under such topics; a text or a list. With it `has` may be missing
//! ```
//!
//! `[[metric]]` is the short form of `[[point]]`, which `point_file.rs` describes. Paths are described in `path.rs`, templates in `template.rs`. With a wildcard in its `object`, a sequence stands for every node that matches; `seq` and
//! `boot` then begin with `object`.

use toml::de::DeTable;

use crate::keep_apart::sharing;
use crate::metric_file::read_metric;
use crate::path::Path;
use crate::path_keys::{path, plain_paths, single, template};
use crate::point_file::{plain_filters, read_point};
use crate::rules::{
    Address, IgnoreRule, ReceiverRule, Repeats, Rules, Scope, SequenceRule, SingleMetric,
};
use crate::time_file::{read_belief, read_time};
use crate::toml_table::{Age, Faults, ProfileFault, Table};
use crate::trie::{Slot, Trie};

/// The most fields of a profile, including those of its metrics.
const MAX_FIELDS: usize = 4096;

pub(crate) fn read(text: &str, age: Age) -> Result<Rules, Vec<ProfileFault>> {
    let mut faults = Faults::new(text, age);
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        faults.add(error.span().map(|span| span.start), error.message());
    }
    let mut rules = Rules {
        uptime_bits: 32,
        scopes: vec![Scope::default()],
        ..Rules::default()
    };
    let mut root = Table::new(root.get_ref(), None, "");
    read_root(&mut root, &mut rules, &mut faults);
    root.refuse_others(&mut faults);
    let mut scopes = rules.scopes.iter_mut();
    if faults.is_empty() && !scopes.all(|scope| scope.trie.build()) {
        faults.add(None, "too many combinations of wildcards and names");
    }
    (rules.single_metrics, rules.wild_metrics) = metrics(&rules);
    rules.sharing = sharing(&rules);
    let long = (0..).zip(&rules.points).filter(|(_, p)| !p.is_short);
    rules.long_points = long.map(|(number, _)| number).collect();
    let mut points = rules.points.iter();
    rules.takes_any_topic =
        points.any(|point| point.filters.is_empty() && point.except_filters.is_empty());
    if age == Age::Stored {
        // No rule ignored the documents that are stored with the profile, whatever an earlier version understood by them.
        rules.ignores.clear();
    }
    let mut ignores = rules.ignores.iter();
    rules.reads_topics = !rules.long_points.is_empty()
        || ignores.any(|rule| !rule.filters.is_empty() && !rule.is_of_topic());
    faults.into_result(rules)
}

/// The short points without and with wildcards.
fn metrics(rules: &Rules) -> (Vec<SingleMetric>, Vec<SingleMetric>) {
    let (mut single, mut wild) = (Vec::new(), Vec::new());
    for (number, field) in (0..).zip(&rules.fields) {
        let point = rules.points.get(field.point as usize);
        if let (Some(true), Address::Document(slot)) = (point.map(|p| p.is_short), field.address) {
            let metrics = if field.wildcards == 0 {
                &mut single
            } else {
                &mut wild
            };
            metrics.push((number, slot, field.value_type));
        }
    }
    (single, wild)
}

fn read_root(root: &mut Table<'_>, rules: &mut Rules, faults: &mut Faults) {
    rules.name = root.required_string("name", faults).unwrap_or_default();
    if !is_name(&rules.name) {
        faults.add(
            root.at("name"),
            "name: expected letters, digits, `-` and `_` only",
        );
    }
    rules.description = root.string("description", faults).unwrap_or_default();

    let mut document = Scope::default();
    let trie = &mut document.trie;
    if let Some(mut clock) = root.table("clock", faults) {
        rules.uptime = single(&mut clock, "uptime_ms", trie, faults);
        rules.uptime_bits = clock
            .integer("uptime_bits", 1, 64, faults)
            .map_or(32, |bits| bits as u32);
        rules.packet_counter = single(&mut clock, "packet_counter", trie, faults);
        rules.age = single(&mut clock, "age_ms", trie, faults);
        clock.refuse_others(faults);
    }
    if let Some(mut time) = root.table("time", faults) {
        read_belief(&mut time, &mut rules.belief, faults);
        rules.device = single(&mut time, "device", trie, faults);
        if let Some(repeats) = time.string("repeats", faults) {
            match repeats.as_str() {
                "real" => rules.repeats = Repeats::Real,
                "duplicate" => {}
                _ => faults.add_choice(
                    time.at("repeats"),
                    "repeats",
                    &repeats,
                    &["duplicate", "real"],
                ),
            }
        }
        if time.at("path").is_some() || time.at("format").is_some() {
            rules.time = read_time(&mut time, faults).map(|(paths, format)| {
                let slots = paths.iter().map(|path| trie.want(path));
                (slots.collect(), format)
            });
        }
        time.refuse_others(faults);
    }
    for mut table in root.tables("sequence", faults) {
        let rule = read_sequence(&mut table, trie, faults);
        rules.sequences.extend(rule);
        table.refuse_others(faults);
    }
    for mut table in root.tables("ignore", faults) {
        let rule = read_ignore(&mut table, trie, faults);
        rules.ignores.extend(rule);
        table.refuse_others(faults);
    }
    let reserved = trie.paths();
    if let Some(mut receiver) = root.table("receiver", faults) {
        // After the reserved keys, because the signal is a value like any other.
        rules.receiver = ReceiverRule {
            rssi: single(&mut receiver, "rssi", trie, faults),
            snr: single(&mut receiver, "snr", trie, faults),
            names: receiver.texts("names", faults),
        };
        receiver.refuse_others(faults);
    }
    let (metrics, points) = (root.tables("metric", faults), root.tables("point", faults));
    let has_neither = root.at("metric").is_none() && root.at("point").is_none();
    if metrics.is_empty() && points.is_empty() && has_neither {
        faults.add(None, "at least one [[metric]] or [[point]] is needed");
    }
    if metrics.len().max(points.len()) > MAX_FIELDS {
        faults.add(
            root.at("metric").or(root.at("point")),
            &format!("more than {MAX_FIELDS} metrics or points"),
        );
        return;
    }
    for mut table in metrics {
        read_metric(&mut table, trie, rules, faults);
        table.refuse_others(faults);
    }
    rules.scopes = vec![document];
    let mut levels = Vec::new();
    for mut table in points {
        read_point(&mut table, rules, &mut levels, &reserved, faults);
        table.refuse_others(faults);
    }
    if rules.fields.len() > MAX_FIELDS {
        faults.add(root.at("point"), &format!("more than {MAX_FIELDS} fields"));
    }
    // Decoding does not depend on them; the evaluation of alerts reads them.
    let _ = root.tables("alert", faults);
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    name.chars().all(allowed)
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
    let mut slots = |key: &str, faults: &mut Faults| -> Vec<Slot> {
        let paths = plain_paths(table, key, faults);
        paths.iter().map(|path| trie.want(path)).collect()
    };
    let (has, lacks) = (slots("has", faults), slots("lacks", faults));
    let filters = plain_filters(table, "filter", faults);
    let has_filter = table.at("filter").is_some();
    if has.is_empty() && table.at("has").is_none() && !has_filter {
        faults.add(table.at(""), "ignore: `has` is missing, or `filter`");
    } else if has.is_empty() && !has_filter {
        faults.add(
            table.at("has"),
            "ignore.has: expected at least one path; without it every document would be ignored",
        );
    }
    Some(IgnoreRule {
        name: name?.into(),
        filters,
        has,
        lacks,
    })
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
        node: node.compile(|path| Address::Document(trie.want(&path))),
        object: object.map(|path| trie.want(&path)),
        seq: trie.want(&seq?),
        boot: boot.map(|path| trie.want(&path)),
        wildcards,
        modulus,
    })
}
