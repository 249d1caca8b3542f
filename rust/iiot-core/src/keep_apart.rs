//! Keeps points of one document apart that have the same series and time and would overwrite each other.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use crate::found::{Capture, PointRef};
use crate::hash::{AsIs, fingerprint};
use crate::moment::Moment;
use crate::render::line_byte;
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
pub(crate) fn may_share(rules: &Rules, document: &[u8], scan: &Scan) -> bool {
    let sharing = &rules.sharing;
    sharing.always
        || (sharing.with_devices && scan.device_tags > 0)
        || (!scan.found.is_empty() && wildcards_may_share(rules, document, scan))
}

/// Whether values under wildcards may share a series with others: usually not, because the keys in the document tell them apart.
fn wildcards_may_share(rules: &Rules, document: &[u8], scan: &Scan) -> bool {
    let sharing = &rules.sharing;
    let is_suspect = |capture: &Capture| match *capture {
        Capture::Key {
            start,
            end,
            escaped,
        } => {
            let range = start as usize..end as usize;
            let key = document.get(range).unwrap_or_default();
            escaped || !is_clean(key) || sharing.names.iter().any(|name| name.as_bytes() == key)
        }
        Capture::Item(_) => !sharing.names.is_empty(),
        Capture::Joined { .. } => true,
    };
    sharing.with_wildcards
        || scan.fields.iter().any(|field| {
            let rule = rules.fields.get(field.field as usize);
            let number = rule.map_or(0, |rule| rule.wildcards);
            let first = field.context.captures as usize;
            let captures = scan.captures.get(first..first + number);
            captures.is_none_or(|captures| captures.iter().any(is_suspect))
        })
}

/// In which documents values of the short form may have one series and field in common.
pub(crate) fn sharing(rules: &Rules) -> Sharing {
    let short = rules.fields.iter().filter_map(|field| {
        let point = rules.points.get(field.point as usize)?;
        point.is_short.then_some((field, point))
    });
    let (wild, single): (Vec<_>, Vec<_>) = short.partition(|(field, _)| field.wildcards > 0);
    let mut sharing = Sharing::default();
    for (number, one) in single.iter().enumerate() {
        for other in single.iter().skip(number + 1) {
            if may_meet(one, other) {
                sharing.with_devices = true;
                sharing.always |= have_equal_tags(one, other);
            }
        }
    }
    for (number, one) in wild.iter().enumerate() {
        let mut others = wild.iter().skip(number + 1);
        sharing.with_wildcards |=
            !tells_matches_apart(one) || others.any(|other| may_meet(one, other));
        // A device may hide the tags by which they differ.
        sharing.with_devices = true;
        let meets = |other: &&Short<'_>| may_meet(one, other) && have_equal_tags(one, other);
        for other in single.iter().filter(meets) {
            match name_that_meets(one, other) {
                Some(name) => sharing.names.push(name.to_owned()),
                None => sharing.with_wildcards = true,
            }
        }
    }
    sharing.names.sort_unstable();
    sharing.names.dedup();
    sharing
}

/// Whether each wildcard alone is a tag or the measurement, so that no two matches have one series.
fn tells_matches_apart((field, point): &Short<'_>) -> bool {
    let is_named = |number| templates(point).any(|(_, it)| it.parts == [Part::Wildcard(number)]);
    (0..field.wildcards).all(is_named)
}

/// The text that a wildcard must match for two values to have one series, if that is the only way.
fn name_that_meets<'a>((_, wild): &Short<'_>, (_, single): &Short<'a>) -> Option<&'a str> {
    let mut texts = templates(wild).filter_map(|(key, template)| {
        let is_wildcard = matches!(template.parts.as_slice(), [Part::Wildcard(_)]);
        let found = templates(single).find(|(other, _)| *other == key);
        let text = found.map_or(Some(""), |(_, template)| template.fixed());
        text.filter(|text| is_wildcard && is_clean(text.as_bytes()))
    });
    texts.next()
}

/// The measurement, and the tags with their keys.
fn templates(point: &PointRule) -> impl Iterator<Item = (Option<&str>, &Template<Address>)> {
    let tags = point.tags.iter().map(|(key, it)| (Some(key.as_str()), it));
    tags.chain([(None, &point.measurement)])
}

/// Whether lines have a text as it is.
fn is_clean(text: &[u8]) -> bool {
    let is_kept = |byte: &u8| *byte != b'#' && line_byte(*byte) == *byte;
    !text.is_empty() && text.iter().all(is_kept)
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
    // A `#` at the start of a measurement is replaced as well.
    text.bytes()
        .map(|byte| line_byte(if byte == b'#' { b'_' } else { byte }))
}
