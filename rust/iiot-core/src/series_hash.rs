//! The fingerprint by which series are told apart.

use crate::found::{FieldRef, FoundTag};
use crate::hash::fingerprint;
use crate::render::{line_byte, push_template};
use crate::rules::Rules;
use crate::scan::Scan;

/// Fingerprint of measurement and tags of the point to which a field belongs; `tags` are the tags that the document and its device gave it. `name` is a buffer
/// for their text.
///
/// Equal series in databases have equal fingerprints: empty tags are no tags, and what no database can store is an underscore, as in lines.
pub(crate) fn series_hash(
    rules: &Rules,
    document: &[u8],
    scan: &Scan,
    field: FieldRef,
    tags: &[FoundTag],
    name: &mut Vec<u8>,
) -> Option<u64> {
    let point = rules.fields.get(field.field as usize)?.point;
    let rule = rules.points.get(point as usize)?;
    name.clear();
    push_template(&rule.measurement, document, scan, field.context, name);
    if matches!(name.first(), None | Some(b'#')) {
        name.splice(..name.len().min(1), [b'_']);
    }
    clean(name, 0);
    for (key, template) in &rule.tags {
        if tags.iter().any(|tag| scan.tag_key(tag) == key.as_bytes()) {
            continue;
        }
        let before = name.len();
        name.push(0);
        name.extend_from_slice(key.as_bytes());
        name.push(0);
        let from = name.len();
        push_template(template, document, scan, field.context, name);
        if name.len() == from {
            name.truncate(before);
        }
        clean(name, from);
    }
    for tag in tags {
        for is_value in [false, true] {
            name.push(0);
            let from = name.len();
            if is_value {
                scan.push_tag_value(document, tag, name);
            } else {
                name.extend_from_slice(scan.tag_key(tag));
            }
            clean(name, from);
        }
    }
    Some(fingerprint(name))
}

/// Replace the bytes that lines cannot have.
fn clean(name: &mut [u8], from: usize) {
    for byte in name.get_mut(from..).unwrap_or_default() {
        *byte = line_byte(*byte);
    }
}
