//! Which points of the long form accept documents with a given topic, and where the named levels of the
//! topic are.

use crate::device;
use crate::rules::{PointRule, Rules};
use crate::scan::Scan;

/// Find out which points accept documents with this topic. `false`: none.
pub(crate) fn enter(
    rules: &Rules,
    hash: u64,
    topic: Option<&[u8]>,
    snapshot: &[u8],
    scan: &mut Scan,
) -> bool {
    scan.has_points = false;
    // An array has items whatever the form of the points.
    scan.tables.clear();
    scan.table_values.clear();
    scan.table_found.clear();
    scan.joined.clear();
    scan.tags.clear();
    device::enter(rules, snapshot, scan);
    if !rules.reads_topics {
        return true;
    }
    scan.points.clear();
    let topic = topic.unwrap_or_default();
    if scan.matched != Some(hash) || scan.topic != topic {
        scan.matched = Some(hash);
        scan.topic.clear();
        scan.topic.extend_from_slice(topic);
        match_topic(rules, scan);
    }
    rules.takes_any_topic || !scan.applies.is_empty()
}

impl PointRule {
    /// The level of a topic that names the device of its document, if the point accepts such documents.
    pub(crate) fn device_in<'t>(&self, topic: &'t [u8]) -> Option<&'t [u8]> {
        let wanted = self.device_level?;
        let mut place = None;
        let matches = self.filters.iter().any(|filter| {
            filter.matches(topic, |level, found| {
                if level == wanted {
                    place = Some(found);
                }
            })
        });
        let mut excepted = self.except_filters.iter();
        if !matches || excepted.any(|filter| filter.matches(topic, |_, _| {})) {
            return None;
        }
        topic.get(place?)
    }
}

fn match_topic(rules: &Rules, scan: &mut Scan) {
    scan.applies.clear();
    scan.levels.clear();
    scan.levels.resize(rules.level_names.len(), 0..0);
    let mut found = Vec::new();
    for &number in &rules.long_points {
        let Some(rule) = rules.points.get(number as usize) else {
            continue;
        };
        // An empty topic means that there is none; no filter matches it.
        let mut matches = rule.filters.is_empty();
        for filter in rule.filters.iter().filter(|_| !scan.topic.is_empty()) {
            found.clear();
            if filter.matches(&scan.topic, |level, place| found.push((level, place))) {
                for (level, place) in found.drain(..) {
                    if let Some(known) = scan.levels.get_mut(rule.first_level as usize + level) {
                        *known = place.start as u32..place.end as u32;
                    }
                }
                matches = true;
                break;
            }
        }
        let mut excepted = rule
            .except_filters
            .iter()
            .filter(|_| !scan.topic.is_empty());
        if matches && !excepted.any(|filter| filter.matches(&scan.topic, |_, _| {})) {
            scan.applies.push(number);
        }
    }
}
