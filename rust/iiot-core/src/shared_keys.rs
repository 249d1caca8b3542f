//! The keys that the tables of a profile file have in common, whether they are metrics, points or fields: measurement, tags, topic, type.

use crate::mqtt_text::{MAX_PART_BYTES, TextFault, text_fault_within};
use crate::path::Path;
use crate::path_keys::template;
use crate::rules::{Address, ValueType};
use crate::template::{Part, Template};
use crate::toml_table::{Age, Faults, Table};

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
    // Two points with the same tags are one series, in whichever order the profile names the tags.
    tags.sort_by(|(one, _), (other, _)| one.cmp(other));
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
