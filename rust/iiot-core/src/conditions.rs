//! Conditions of a profile on other values of a document: whether the document is telemetry at all, and whether a value
//! counts.

use std::sync::Arc;

use crate::found::Value;
use crate::kind::Kind;
use crate::rules::{Address, Field, IgnoreRule, Rules};
use crate::scan::Scan;
use crate::trie::Slot;

/// The name under which the profile ignores the document, if it does.
#[inline]
pub(crate) fn ignored(rules: &Rules, scan: &Scan) -> Option<Arc<str>> {
    let is_there = |slot: &Slot| {
        let value = scan.values.get(*slot as usize);
        value.is_some_and(Value::is_there)
    };
    let mut rules = rules.ignores.iter().filter(|rule| !rule.is_of_topic());
    let rule = rules.find(|rule| {
        rule.has.iter().all(is_there)
            && !rule.lacks.iter().any(is_there)
            && takes(rule, &scan.topic)
    })?;
    Some(Arc::clone(&rule.name))
}

/// The name under which the profile ignores everything that comes under a topic, if it does.
pub(crate) fn ignored_topic(rules: &Rules, topic: &[u8]) -> Option<Arc<str>> {
    let mut rules = rules.ignores.iter().filter(|rule| rule.is_of_topic());
    let rule = rules.find(|rule| takes(rule, topic))?;
    Some(Arc::clone(&rule.name))
}

fn takes(rule: &IgnoreRule, topic: &[u8]) -> bool {
    let mut filters = rule.filters.iter().filter(|_| !topic.is_empty());
    rule.filters.is_empty() || filters.any(|filter| filter.matches(topic, |_, _| {}))
}

/// Whether a field has an `unless` that is true; `value` gives the value at an address.
pub(crate) fn is_left_out(
    field: &Field,
    document: &[u8],
    value: impl Fn(Address) -> Value,
) -> bool {
    field.unless.iter().any(|address| {
        let value = value(*address);
        value.kind == Kind::Bool && value.text(document) == b"true"
    })
}

/// Leave out the values whose field has an `unless` that is true.
pub(crate) fn leave_out(rules: &Rules, document: &[u8], scan: &mut Scan) {
    let mut fields = std::mem::take(&mut scan.fields);
    fields.retain(|found| {
        let field = rules.fields.get(found.field as usize);
        let value = |address| scan.value(found.context.table, address);
        field.is_none_or(|field| !is_left_out(field, document, value))
    });
    scan.fields = fields;
}
