//! The fingerprint by which series are told apart.

use crate::found::{FieldRef, FoundTag};
use crate::hash::fingerprint;
use crate::render::push_template;
use crate::rules::Rules;
use crate::scan::Scan;

/// Fingerprint of measurement and tags of the point to which a field belongs; `tags` are the tags that the document and its device gave it. `name` is a buffer
/// for their text.
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
    for (key, template) in &rule.tags {
        name.push(0);
        name.extend_from_slice(key.as_bytes());
        name.push(0);
        push_template(template, document, scan, field.context, name);
    }
    for tag in tags {
        name.push(0);
        name.extend_from_slice(scan.tag_key(tag));
        name.push(0);
        scan.push_tag_value(document, tag, name);
    }
    Some(fingerprint(name))
}
