//! The values that rules see in the frames of a batch.
//!
//! Most points have tags that were seen before. The rules that select a set of tags, and the series of each rule, are determined once per set. So an
//! observation costs one look at a table, and allocates nothing of its own.

use crate::rule::Rule;
use crate::series::{Labels, Seen};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// The most memory, in bytes, that sets of tags may keep from one batch to the next: enough for some ten thousand devices. Beyond it all sets are dropped.
const MOST_KEPT: usize = 8 << 20;
/// The approximate memory of an entry of a table, without its texts.
const ENTRY: usize = 128;

/// Values that rules watch, in the order of their frames.
#[derive(Debug, Default)]
pub struct Observations {
    all: Vec<Observation>,
    /// The texts of the values, one after the other.
    text: String,
    /// All sets of tags, and the place of each by the bytes of its tags.
    sets: Vec<Set>,
    places: HashMap<Box<[u8]>, usize>,
    /// The approximate memory of the sets and their places.
    bytes: usize,
    /// The set of the last point.
    point: usize,
    room: Vec<u8>,
}

/// The tags of a point, and the series that rules derive from them.
#[derive(Debug)]
struct Set {
    /// Sorted by their keys.
    tags: Labels,
    /// The series by the number of the rule; a rule that does not select the tags has none.
    series: BTreeMap<usize, Option<Labelled>>,
}

/// A series, identified by its key.
#[derive(Debug)]
struct Labelled {
    key: String,
    labels: Labels,
}

#[derive(Debug)]
struct Observation {
    rule: usize,
    set: usize,
    time_ns: i64,
    received_ns: i64,
    value: Option<(f64, Range<usize>)>,
}

/// A value that a rule sees.
#[derive(Debug)]
pub(crate) struct Observed<'a> {
    /// The number of the rule.
    pub rule: usize,
    /// The key of the series.
    pub key: &'a str,
    /// The tags of the series.
    pub labels: &'a Labels,
    pub seen: Seen<'a>,
}

impl Observations {
    /// The number of observations.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// The approximate memory of the sets of tags, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Begin a batch: drop the observations, and keep the sets of tags.
    pub(crate) fn clear(&mut self) {
        self.all.clear();
        self.text.clear();
        if self.bytes > MOST_KEPT {
            *self = Self::default();
        }
    }

    /// Begin a point. `show` shows its tags, in any order; it is called twice if they are new.
    pub fn point(&mut self, show: impl Fn(&mut dyn FnMut(&str, &[u8]))) {
        self.room.clear();
        show(&mut |key, value| {
            for part in [key.as_bytes(), value] {
                self.room.extend_from_slice(&part.len().to_ne_bytes());
                self.room.extend_from_slice(part);
            }
        });
        if let Some(&place) = self.places.get(self.room.as_slice()) {
            self.point = place;
            return;
        }
        let mut tags = Labels::new();
        show(&mut |key, value| {
            tags.push((key.to_owned(), String::from_utf8_lossy(value).into_owned()));
        });
        tags.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.bytes += self.room.len() + bytes_of(&tags) + ENTRY;
        self.point = self.sets.len();
        self.places.insert(self.room.as_slice().into(), self.point);
        self.sets.push(Set {
            tags,
            series: BTreeMap::new(),
        });
    }

    /// Add the value that a rule sees in the point, if the rule selects it. A number must mean the same rule as long as the observations exist.
    pub fn see(
        &mut self,
        number: usize,
        rule: &Rule,
        time_ns: i64,
        received_ns: i64,
        value: Option<(f64, &str)>,
    ) {
        let Some(set) = self.sets.get_mut(self.point) else {
            return;
        };
        let series = set.series.entry(number).or_insert_with(|| {
            let series = series_of(rule, &set.tags);
            let labelled = series.as_ref();
            self.bytes += ENTRY + labelled.map_or(0, |s| s.key.len() + bytes_of(&s.labels));
            series
        });
        if series.is_none() {
            return;
        }
        let value = value.map(|(number, text)| {
            let from = self.text.len();
            self.text.push_str(text);
            (number, from..self.text.len())
        });
        self.all.push(Observation {
            rule: number,
            set: self.point,
            time_ns,
            received_ns,
            value,
        });
    }

    /// The observations, in the order in which they were added.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Observed<'_>> {
        self.all.iter().filter_map(|observation| {
            let set = self.sets.get(observation.set)?;
            let series = set.series.get(&observation.rule)?.as_ref()?;
            let value = observation.value.as_ref();
            let text = |part: &Range<usize>| self.text.get(part.clone()).unwrap_or_default();
            Some(Observed {
                rule: observation.rule,
                key: &series.key,
                labels: &series.labels,
                seen: Seen {
                    time_ns: observation.time_ns,
                    received_ns: observation.received_ns,
                    value: value.map(|(number, part)| (*number, text(part))),
                },
            })
        })
    }
}

fn bytes_of(tags: &Labels) -> usize {
    let texts = tags.iter().map(|(key, value)| key.len() + value.len());
    texts.sum::<usize>() + tags.len() * size_of::<(String, String)>()
}

/// The series of a point with these tags; none if the point is not selected, or if a silence cannot tell from it which device sent it.
fn series_of(rule: &Rule, tags: &Labels) -> Option<Labelled> {
    let selection = &rule.selection;
    let is_there = |(key, value): (&String, &String)| {
        let mut tags = tags.iter();
        tags.any(|tag| (&tag.0, &tag.1) == (key, value))
    };
    if !selection.tags.iter().all(is_there) {
        return None;
    }
    let labels: Labels = if !selection.by.is_empty() {
        let tags = tags.iter().filter(|(key, _)| selection.by.contains(key));
        tags.cloned().collect()
    } else if rule.is_silence() {
        // All points share one series.
        Labels::new()
    } else {
        tags.clone()
    };
    if rule.is_silence() && labels.len() != selection.by.len() {
        return None;
    }
    let parts = labels
        .iter()
        .map(|(key, value)| format!("{key}\u{1f}{value}"));
    let key = parts.collect::<Vec<_>>().join("\u{1e}");
    Some(Labelled { key, labels })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    const TAGS: [(&str, &str); 3] = [("pump", "1"), ("site", "north"), ("chemical", "acid")];

    fn rule(keys: &str) -> Rule {
        Rule::parse(&format!(
            r#"{{"name": "r", "measurement": "m", "field": "f", "severity": "warning", "receivers": [], "of": "value", "above": 1.0{keys}}}"#
        ))
        .unwrap()
    }

    fn silence(keys: &str) -> Rule {
        Rule::parse(&format!(
            r#"{{"name": "s", "severity": "warning", "receivers": [], "of": "silence", "silent_s": 60.0{keys}}}"#
        ))
        .unwrap()
    }

    fn begin(observations: &mut Observations, tags: &[(&str, &str)]) {
        observations.point(|add| {
            for (key, value) in tags {
                add(key, value.as_bytes());
            }
        });
    }

    /// Keys with their labels as text.
    fn seen(rules: &[Rule], tags: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut observations = Observations::default();
        begin(&mut observations, tags);
        for (number, rule) in rules.iter().enumerate() {
            observations.see(number, rule, 1, 2, Some((1.5, "1.5")));
        }
        let all = observations.iter();
        all.map(|observed| {
            assert_eq!(observed.seen.value, Some((1.5, "1.5")));
            let labels = observed
                .labels
                .iter()
                .map(|(key, value)| format!("{key}={value}"));
            (
                observed.key.to_owned(),
                labels.collect::<Vec<_>>().join(","),
            )
        })
        .collect()
    }

    /// The text of a key is stored in the journal, so its form must not change.
    #[test]
    fn a_key_is_made_of_the_labels_sorted_by_their_names() {
        let all = "chemical\u{1f}acid\u{1e}pump\u{1f}1\u{1e}site\u{1f}north";
        let rules = [
            rule(""),
            rule(r#", "by": ["site", "pump"]"#),
            rule(r#", "tags": {"pump": "1"}"#),
        ];
        let (all, labels) = (all.to_owned(), "chemical=acid,pump=1,site=north".to_owned());
        let by = (
            "pump\u{1f}1\u{1e}site\u{1f}north".to_owned(),
            "pump=1,site=north".to_owned(),
        );
        let expected = [(all.clone(), labels.clone()), by, (all, labels)];
        assert_eq!(seen(&rules, &TAGS), expected);
    }

    #[test]
    fn a_silence_needs_all_tags_that_name_its_device() {
        let empty = (String::new(), String::new());
        assert_eq!(seen(&[silence("")], &TAGS), [empty]);
        let of_pump = ("pump\u{1f}1".to_owned(), "pump=1".to_owned());
        assert_eq!(seen(&[silence(r#", "by": ["pump"]"#)], &TAGS), [of_pump]);
        assert_eq!(seen(&[silence(r#", "by": ["pump", "node"]"#)], &TAGS), []);
    }

    #[test]
    fn tags_that_differ_in_where_a_text_ends_are_different_sets() {
        let rules = [rule("")];
        let mut observations = Observations::default();
        for tags in [[("a", "bc"), ("d", "")], [("ab", "c"), ("d", "")]] {
            begin(&mut observations, &tags);
            observations.see(0, &rules[0], 1, 2, None);
        }
        let keys: Vec<&str> = observations.iter().map(|observed| observed.key).collect();
        assert_eq!(keys, ["a\u{1f}bc\u{1e}d\u{1f}", "ab\u{1f}c\u{1e}d\u{1f}"]);
    }

    #[test]
    fn a_tag_that_is_no_utf_8_has_replacement_characters() {
        let mut observations = Observations::default();
        observations.point(|add| add("node", b"a\xff"));
        observations.see(0, &rule(""), 1, 2, None);
        let keys: Vec<&str> = observations.iter().map(|observed| observed.key).collect();
        assert_eq!(keys, ["node\u{1f}a\u{fffd}"]);
    }

    #[test]
    fn sets_of_tags_are_kept_from_batch_to_batch_while_they_are_small() {
        let rules = [
            rule(r#", "tags": {"pump": "0"}"#),
            silence(r#", "by": ["pump"]"#),
        ];
        let mut observations = Observations::default();
        let add = |observations: &mut Observations, pumps: usize| {
            for pump in 0..pumps {
                begin(observations, &[("pump", &pump.to_string())]);
                for (number, rule) in rules.iter().enumerate() {
                    observations.see(number, rule, 1, 2, None);
                }
            }
        };
        add(&mut observations, 10);
        let (few, keys) = (observations.bytes(), observations.len());
        assert_eq!(keys, 1 + 10);
        observations.clear();
        assert_eq!((observations.len(), observations.bytes()), (0, few));
        add(&mut observations, 10);
        assert_eq!((observations.len(), observations.bytes()), (keys, few));

        add(&mut observations, 20_000);
        assert!(observations.bytes() > MOST_KEPT);
        observations.clear();
        assert_eq!((observations.len(), observations.bytes()), (0, 0));
    }
}
