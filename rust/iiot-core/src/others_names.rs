//! Makes the names of a point's fields and tags unique: no line has one of them twice.

use std::collections::HashSet;

use crate::faults::tell_in;
use crate::found::{FoundTag, PointRef};
use crate::render::compare_escaped;
use crate::rules::{FieldName, OthersRule, Rules};
use crate::scan::{Scan, ValueFaultReason};

/// Keep only the first of a point's fields with the same name. Several tables of other values may give such fields.
pub(crate) fn drop_equal_names(rules: &Rules, document: &[u8], first: usize, scan: &mut Scan) {
    let mut known = HashSet::new();
    let mut kept = first;
    for at in first..scan.fields.len() {
        let Some(field) = scan.fields.get(at).copied() else {
            return;
        };
        let rule = rules.fields.get(field.field as usize);
        let own = if let Some(FieldName::Fixed(name)) = rule.map(|rule| &rule.name) {
            name.as_bytes()
        } else {
            let captures = field.context.captures as usize;
            scan.joined_name(captures).unwrap_or_default()
        };
        if known.insert(own.to_vec()) {
            if let Some(place) = scan.fields.get_mut(kept) {
                *place = field;
            }
            kept += 1;
        } else {
            let path = String::from_utf8_lossy(own).into_owned();
            let place = (field.context.table, path.as_str());
            let reason = ValueFaultReason::NameTaken;
            tell_in(rules, document, place, field.value, reason, scan);
        }
    }
    scan.fields.truncate(kept);
}

/// Sort the tags of a point as in line protocol. If keys are equal, as lines write them, the last one counts. Tags of the profile hide tags of
/// the document.
pub(crate) fn sort_tags(others: &[OthersRule], first: usize, scan: &mut Scan) {
    let Some(own_tags) = others.first().map(|others| &others.own_tags) else {
        return;
    };
    let Scan { joined, tags, .. } = scan;
    let name = |tag: &FoundTag| {
        joined
            .get(tag.start as usize..tag.end as usize)
            .unwrap_or_default()
    };
    let compare = |left: &FoundTag, right: &FoundTag| {
        if left.is_plain && right.is_plain {
            return name(left).cmp(name(right));
        }
        compare_escaped(name(left), name(right))
    };
    if let Some(own) = tags.get_mut(first..) {
        own.sort_by(compare);
    }
    let mut kept = first;
    for at in first..tags.len() {
        let Some(tag) = tags.get(at).copied() else {
            return;
        };
        let mut own_keys = own_tags.iter();
        if own_keys.any(|key| compare_escaped(key.as_bytes(), name(&tag)).is_eq()) {
            continue;
        }
        let last = kept.checked_sub(1).filter(|last| *last >= first);
        let is_again = last
            .and_then(|last| tags.get(last))
            .is_some_and(|last| compare(last, &tag).is_eq());
        let place = if is_again { kept - 1 } else { kept };
        if let Some(held) = tags.get_mut(place) {
            *held = tag;
        }
        kept = place + 1;
    }
    tags.truncate(kept);
}

impl Scan {
    /// The tags that the document and its device gave a point.
    pub(crate) fn tags_of(&self, point: &PointRef) -> &[FoundTag] {
        self.tags
            .get(point.first_tag as usize..point.end_tag as usize)
            .unwrap_or_default()
    }

    /// The key of such a tag.
    pub(crate) fn tag_key(&self, tag: &FoundTag) -> &[u8] {
        self.joined
            .get(tag.start as usize..tag.end as usize)
            .unwrap_or_default()
    }
}
