//! What a profile makes depend on other values of a document: whether it is telemetry at all, and whether a value counts.

use std::sync::Arc;

use crate::json::Kind;
use crate::profile::Rules;
use crate::scan::Scan;
use crate::trie::Slot;

/// The name under which the profile ignores the document, if it does.
#[inline]
pub(crate) fn ignored(rules: &Rules, scan: &Scan) -> Option<Arc<str>> {
    let is_there = |slot: &Slot| {
        let value = scan.values.get(*slot as usize);
        value.is_some_and(|value| !matches!(value.kind, Kind::Missing | Kind::Null))
    };
    let mut rules = rules.ignores.iter();
    let rule =
        rules.find(|rule| rule.has.iter().all(is_there) && !rule.lacks.iter().any(is_there))?;
    Some(Arc::clone(&rule.name))
}

/// Leave out the points whose metric has an `unless` that is true.
pub(crate) fn leave_out(rules: &Rules, document: &[u8], scan: &mut Scan) {
    let Scan { points, values, .. } = scan;
    let is_true = |slot: &Slot| {
        let value = values.get(*slot as usize).copied().unwrap_or_default();
        value.kind == Kind::Bool && value.text(document) == b"true"
    };
    points.retain(|point| {
        let metric = rules.metrics.get(point.metric as usize);
        metric.is_none_or(|metric| !metric.unless.iter().any(is_true))
    });
}
