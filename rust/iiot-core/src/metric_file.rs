//! Reads the `[[metric]]` tables of a profile file, and what they have in common with points: measurement, tags, topic, type.

use crate::mqtt_text::{MAX_PART_BYTES, TextFault, text_fault_within};
use crate::path::Path;
use crate::path_keys::{path, plain_paths, template};
use crate::point_file::device_tag;
use crate::rules::{Address, Field, FieldName, PointRule, Rules, ValueType};
use crate::template::{Part, Template};
use crate::toml_table::{Age, Faults, Table};
use crate::trie::Trie;

/// Read one `[[metric]]` into a point with one field.
pub(crate) fn read_metric(
    table: &mut Table<'_>,
    trie: &mut Trie,
    rules: &mut Rules,
    faults: &mut Faults,
) {
    let path = path(table, "path", faults);
    if path.is_none() && table.at("path").is_none() {
        faults.add(table.at(""), "metric: `path` is missing");
    }
    let wildcards = path.as_ref().map_or(0, Path::wildcards);
    let keys = &mut rules.device_keys;
    let mut address =
        |path: Path| device_tag(&path, keys).unwrap_or_else(|| Address::Document(trie.want(&path)));
    let topic = topic(table, wildcards, faults).map(|topic| topic.compile(&mut address));
    let common = common(table, wildcards, &mut address, faults);
    let name = table
        .string("field", faults)
        .unwrap_or_else(|| "value".to_owned());
    if name.is_empty() {
        faults.add(table.at("field"), "field: must not be empty");
    }
    let value_type = value_type(table, faults);
    let retain = table.boolean("retain", faults).unwrap_or(false);
    let unless: Vec<Address> = plain_paths(table, "unless", faults)
        .into_iter()
        .map(&mut address)
        .collect();
    rules.has_conditions |= !unless.is_empty();
    let (Some(path), Some((measurement, tags))) = (path, common) else {
        return;
    };
    rules.takes_bare_values |= path.steps.is_empty();
    let number = rules.fields.len() as u32;
    rules.fields.push(Field {
        point: rules.points.len() as u32,
        name: FieldName::Fixed(name),
        address: address(path),
        wildcards,
        value_type,
        topic,
        retain,
        unless,
    });
    rules.points.push(PointRule {
        measurement,
        tags,
        filters: Vec::new(),
        except_filters: Vec::new(),
        device_level: None,
        first_level: 0,
        fields: number..number + 1,
        scope: 0,
        time: None,
        except: Vec::new(),
        others: Vec::new(),
        is_short: true,
    });
}

/// Measurement and tags.
pub(crate) type Common = (Template<Address>, Vec<(String, Template<Address>)>);

/// Measurement and tags of a metric or point.
pub(crate) fn common(
    table: &mut Table<'_>,
    wildcards: usize,
    address: &mut impl FnMut(Path) -> Address,
    faults: &mut Faults,
) -> Option<Common> {
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
            tags.push((key, template.compile(&mut *address)));
        }
    }
    Some((measurement?.compile(address), tags))
}

/// The topic under which a value is published.
pub(crate) fn topic(
    table: &mut Table<'_>,
    wildcards: usize,
    faults: &mut Faults,
) -> Option<Template<Path>> {
    let topic = table
        .string("topic", faults)
        .and_then(|text| template(table, "topic", &text, wildcards, faults));
    if topic.as_ref().is_some_and(|topic| !is_topic(topic)) {
        faults.add(table.at("topic"), "topic: expected a topic without `+`, `#` and NUL that is not empty and neither begins nor ends with `/`");
    } else if faults.age() == Age::New
        && let Some(fault) = topic.as_ref().and_then(topic_fault)
    {
        faults.add(table.at("topic"), &format!("topic: the text {fault}"));
    }
    topic
}

/// The `type` of a value.
pub(crate) fn value_type(table: &mut Table<'_>, faults: &mut Faults) -> ValueType {
    let Some(name) = table.string("type", faults) else {
        return ValueType::Number;
    };
    ValueType::named(&name).unwrap_or_else(|| {
        faults.add_choice(table.at("type"), "type", &name, &ValueType::NAMES);
        ValueType::Any
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

/// The part of a topic's fixed text that MQTT does not allow. Text that comes from documents is replaced instead.
fn topic_fault(topic: &Template<Path>) -> Option<TextFault> {
    let text: String = topic.texts().collect();
    text_fault_within(&text, MAX_PART_BYTES)
}
