//! Keeps points of one document apart that have the same series and time and would overwrite each other.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use crate::found::PointRef;
use crate::hash::{AsIs, fingerprint};
use crate::moment::Moment;
use crate::rules::{Field, FieldName, PointRule, Rules, Sharing};
use crate::scan::Scan;
use crate::series_hash::series_hash;

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

/// Move values of one series and field of a document in the short form a millisecond apart. There, each value is a point.
pub(crate) fn keep_values_apart(rules: &Rules, document: &[u8], scan: &mut Scan) {
    if scan.fields.len() < 2 {
        return;
    }
    let fields = std::mem::take(&mut scan.fields);
    let mut counts = std::mem::take(&mut scan.counts);
    let mut name = std::mem::take(&mut scan.name);
    counts.clear();
    let mut is_moved = false;
    scan.points.clear();
    for (number, field) in (0..).zip(&fields) {
        let tags = scan.tags_of_device();
        let series = series_hash(rules, document, scan, *field, tags, &mut name);
        let field_name = rules.fields.get(field.field as usize).map(|it| &it.name);
        let name_hash = match field_name {
            Some(FieldName::Fixed(name)) => fingerprint(name.as_bytes()),
            _ => 0,
        };
        let key = series.unwrap_or_default() ^ name_hash.rotate_left(32);
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
    (scan.fields, scan.counts, scan.name) = (fields, counts, name);
    scan.has_points = is_moved;
}

/// Whether [`keep_values_apart`] may find something in this document.
#[inline]
pub(crate) fn may_share(sharing: Sharing, scan: &Scan) -> bool {
    match sharing {
        Sharing::Never => false,
        Sharing::WithWildcards => !scan.found.is_empty(),
        Sharing::WithDevices => !scan.found.is_empty() || scan.device_tags > 0,
        Sharing::Always => true,
    }
}

/// In which documents values of the short form may have one series and field in common.
pub(crate) fn sharing(rules: &Rules) -> Sharing {
    let short = rules.fields.iter().filter_map(|field| {
        let point = rules.points.get(field.point as usize)?;
        point.is_short.then_some((field, point))
    });
    let (wild, single): (Vec<_>, Vec<_>) = short.partition(|(field, _)| field.wildcards > 0);
    let meet = |may_meet: fn(&Short<'_>, &Short<'_>) -> bool| {
        let mut numbered = single.iter().enumerate();
        numbered.any(|(number, one)| {
            let mut others = single.iter().skip(number + 1);
            others.any(|other| may_meet(one, other))
        })
    };
    if meet(|one, other| may_meet(one, other) && have_equal_tags(one, other)) {
        Sharing::Always
    } else if meet(may_meet) {
        Sharing::WithDevices
    } else if wild.is_empty() {
        Sharing::Never
    } else {
        Sharing::WithWildcards
    }
}

type Short<'a> = (&'a Field, &'a PointRule);

/// Whether measurement and field may be equal. A device may give both values its tags in the place of theirs.
fn may_meet((field, point): &Short<'_>, (other, its): &Short<'_>) -> bool {
    field.name == other.name && may_equal(point.measurement.fixed(), its.measurement.fixed())
}

fn have_equal_tags((_, point): &Short<'_>, (_, its): &Short<'_>) -> bool {
    // A tag that a point does not have is as an empty one.
    let mut keys = point.tags.iter().chain(&its.tags).map(|(key, _)| key);
    keys.all(|key| may_equal(tag(point, key), tag(its, key)))
}

fn tag<'a>(point: &'a PointRule, key: &str) -> Option<&'a str> {
    let template = point.tags.iter().find(|(known, _)| known == key);
    template.map_or(Some(""), |(_, template)| template.fixed())
}

/// Whether two texts may be equal in a line; a text with holes may be any.
fn may_equal(one: Option<&str>, other: Option<&str>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => as_in_lines(one).eq(as_in_lines(other)),
        _ => true,
    }
}

fn as_in_lines(text: &str) -> impl Iterator<Item = u8> {
    // A `#` at the start of a measurement is one of them.
    text.bytes().map(|byte| match byte {
        0..=0x1f | 0x7f | b'\\' | b'#' => b'_',
        byte => byte,
    })
}
