//! Keeps points of one document apart that have the same series and time and would overwrite each other.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use crate::found::PointRef;
use crate::hash::{AsIs, fingerprint};
use crate::moment::Moment;
use crate::rules::{Address, Field, FieldName, PointRule, Rules, Sharing};
use crate::scan::Scan;
use crate::series_hash::series_hash;
use crate::template::{Part, Template};

/// Move points with the same series and time a millisecond apart, the smallest step that all databases keep. Otherwise they would overwrite each
/// other.
pub(crate) fn keep_apart(rules: &Rules, document: &[u8], scan: &mut Scan) {
    if scan.points.len() < 2 {
        return;
    }
    let mut points = std::mem::take(&mut scan.points);
    let mut counts: HashMap<(u64, Option<Moment>), u32, BuildHasherDefault<AsIs>> =
        HashMap::default();
    let mut name = Vec::new();
    for point in &mut points {
        let Some(first) = scan.fields.get(point.first as usize).copied() else {
            continue;
        };
        let tags = scan.tags_of(point);
        let Some(series) = series_hash(rules, document, scan, first, tags, &mut name) else {
            continue;
        };
        // A time that is too early will not be believed; the point then has the document's time, as a point without a time has.
        let own = point.time.filter(|own| match own {
            Moment::At(own_ns) => *own_ns >= rules.belief.earliest_ns,
            Moment::Uptime(_) | Moment::Either(_) => true,
        });
        let own = own.or(scan.time);
        let count = counts.entry((series, own)).or_default();
        point.later_ms = *count;
        *count += 1;
    }
    scan.points = points;
}

/// Do the same for the values of a document in the short form, where each value is a point. Only values of one field overwrite each other.
pub(crate) fn keep_values_apart(rules: &Rules, document: &[u8], scan: &mut Scan) {
    let fields = std::mem::take(&mut scan.fields);
    let mut counts: HashMap<u64, u32, BuildHasherDefault<AsIs>> = HashMap::default();
    let mut name = Vec::new();
    let mut is_moved = false;
    scan.points.clear();
    for (number, field) in (0..).zip(&fields) {
        let tags = scan.tags_of_device();
        let series = series_hash(rules, document, scan, *field, tags, &mut name);
        let rule = rules.fields.get(field.field as usize).map(|it| &it.name);
        let field = match rule {
            Some(FieldName::Fixed(name)) => fingerprint(name.as_bytes()),
            _ => 0,
        };
        let key = series.unwrap_or_default() ^ field.rotate_left(32);
        let count = counts.entry(key).or_default();
        is_moved |= *count > 0;
        scan.points.push(PointRef {
            first: number,
            end: number + 1,
            time: None,
            later_ms: *count,
            first_tag: 0,
            end_tag: scan.device_tags,
        });
        *count += 1;
    }
    scan.fields = fields;
    scan.has_points = is_moved;
}

/// Whether values of the short form may have one series and field in common.
pub(crate) fn sharing(rules: &Rules) -> Sharing {
    let short = rules.fields.iter().filter_map(|field| {
        let point = rules.points.get(field.point as usize)?;
        point.is_short.then_some((field, point))
    });
    let (wild, single): (Vec<_>, Vec<_>) = short.partition(|(field, _)| field.wildcards > 0);
    let meets_another = |(number, one): (usize, &Short<'_>)| {
        let mut others = single.iter().skip(number + 1);
        others.any(|other| may_meet(one, other))
    };
    if single.iter().enumerate().any(meets_another) {
        Sharing::Always
    } else if wild.is_empty() {
        Sharing::Never
    } else {
        Sharing::WithWildcards
    }
}

type Short<'a> = (&'a Field, &'a PointRule);

/// Whether two values may have one series and field. Only fixed texts tell them apart for sure.
fn may_meet((field, point): &Short<'_>, (other, its): &Short<'_>) -> bool {
    // A tag that a point does not have is as an empty one.
    let tag = |point: &PointRule, key: &str| {
        let template = point.tags.iter().find(|(known, _)| known == key);
        template.map_or(Some(String::new()), |(_, template)| fixed(template))
    };
    let may_equal = |one: Option<String>, other: Option<String>| match (one, other) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    let mut keys = point.tags.iter().chain(&its.tags).map(|(key, _)| key);
    field.name == other.name
        && may_equal(fixed(&point.measurement), fixed(&its.measurement))
        && keys.all(|key| may_equal(tag(point, key), tag(its, key)))
}

/// The text of a template without holes.
fn fixed(template: &Template<Address>) -> Option<String> {
    let text = template.parts.iter().map(|part| match part {
        Part::Text(text) => Some(text.as_str()),
        Part::Value(_) | Part::Wildcard(_) => None,
    });
    text.collect()
}
