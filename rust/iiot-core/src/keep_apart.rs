//! Keeps points of one document apart that have the same series and time and would overwrite each other.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use crate::hash::AsIs;
use crate::moment::Moment;
use crate::rules::Rules;
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
        // A time that is too early will not be believed; the point then has the document's time.
        let own = point.time.filter(|own| match own {
            Moment::At(own_ns) => *own_ns >= rules.belief.earliest_ns,
            Moment::Uptime(_) | Moment::Either(_) => true,
        });
        let count = counts.entry((series, own)).or_default();
        point.later_ms = *count;
        *count += 1;
    }
    scan.points = points;
}
