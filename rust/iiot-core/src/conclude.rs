//! Second half of a scan: from noted values to points, clocks and sequences. A value with a wrong type costs only that value.

use crate::clocks::{device, document_time, fixed_count};
use crate::keep_apart::{keep_values_apart, may_share};
use crate::long;
use crate::rules::Rules;
use crate::scan::Scan;
use crate::sequences::sequences;
use crate::short::short_points;

/// The points, clocks and sequences of a document that is an object or a bare value.
#[inline]
pub(crate) fn conclude(rules: &Rules, hash: u64, document: &[u8], scan: &mut Scan) {
    scan.forget_results();
    short_points(rules, document, scan);
    scan.uptime_ms = fixed_count(rules, document, scan, rules.uptime);
    scan.packet_counter = fixed_count(rules, document, scan, rules.packet_counter);
    scan.age_ms = fixed_count(rules, document, scan, rules.age);
    scan.time = document_time(rules, document, scan);
    scan.device = device(rules, document, scan);
    sequences(rules, document, scan);
    if !rules.long_points.is_empty() {
        long::points(rules, hash, document, scan);
    } else if may_share(rules, document, scan) {
        keep_values_apart(rules, document, scan);
    }
}
