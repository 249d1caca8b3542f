//! What rules see in the frames of a batch.
//!
//! A batch may hold tens of thousands of observations. Their texts lie one behind the other in one buffer, so that an observation allocates nothing of its own.

use crate::rule::Rule;
use crate::series::{Labels, Seen};
use std::ops::Range;

/// A part of the buffer.
type Text = Range<usize>;

/// Values that rules watch, in the order of their frames.
#[derive(Debug, Default)]
pub struct Observations {
    all: Vec<Observation>,
    text: String,
    /// Keys and values of tags: a run of them for each point.
    tags: Vec<(Text, Text)>,
    /// The run of the last point.
    point: Range<usize>,
    /// How much of text and tags observations need.
    needed: (usize, usize),
}

#[derive(Debug)]
struct Observation {
    rule: usize,
    /// The key of the series.
    key: Text,
    /// The tags of the series.
    labels: Range<usize>,
    time_ns: i64,
    received_ns: i64,
    value: Option<(f64, Text)>,
}

/// What a rule sees.
#[derive(Debug)]
pub(crate) struct Observed<'a> {
    /// The number of the rule.
    pub rule: usize,
    /// The key of the series.
    pub key: &'a str,
    pub seen: Seen<'a>,
    labels: &'a [(Text, Text)],
    text: &'a str,
}

impl Observed<'_> {
    /// The tags of the series.
    pub(crate) fn labels(&self) -> Labels {
        let text = |part: &Text| part_of(self.text, part).to_owned();
        let labels = self.labels.iter();
        labels
            .map(|(key, value)| (text(key), text(value)))
            .collect()
    }
}

fn part_of<'t>(text: &'t str, part: &Text) -> &'t str {
    text.get(part.clone()).unwrap_or_default()
}

impl Observations {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Begin a point. `show` shows its tags, in any order.
    pub fn point(&mut self, show: impl FnOnce(&mut dyn FnMut(&str, &[u8]))) {
        // Nothing is kept of points that no rule selected.
        self.text.truncate(self.needed.0);
        self.tags.truncate(self.needed.1);
        let from = self.tags.len();
        show(&mut |key, value| {
            let tag = (self.push(key), self.push(&String::from_utf8_lossy(value)));
            self.tags.push(tag);
        });
        self.point = from..self.tags.len();
        let text = self.text.as_str();
        if let Some(run) = self.tags.get_mut(from..) {
            run.sort_unstable_by_key(|(key, _)| part_of(text, key));
        }
    }

    /// Add what a rule sees in the point, if the rule selects it.
    pub fn see(
        &mut self,
        number: usize,
        rule: &Rule,
        time_ns: i64,
        received_ns: i64,
        value: Option<(f64, &str)>,
    ) {
        let Some(labels) = self.labels_of(rule) else {
            return;
        };
        let key = self.push_key(labels.clone());
        let value = value.map(|(number, text)| (number, self.push(text)));
        self.all.push(Observation {
            rule: number,
            key,
            labels,
            time_ns,
            received_ns,
            value,
        });
        self.needed = (self.text.len(), self.tags.len());
    }

    /// In the order in which they were added.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Observed<'_>> {
        self.all.iter().map(|observation| {
            let value = observation.value.as_ref();
            Observed {
                rule: observation.rule,
                key: part_of(&self.text, &observation.key),
                seen: Seen {
                    time_ns: observation.time_ns,
                    received_ns: observation.received_ns,
                    value: value.map(|(number, text)| (*number, part_of(&self.text, text))),
                },
                labels: self
                    .tags
                    .get(observation.labels.clone())
                    .unwrap_or_default(),
                text: &self.text,
            }
        })
    }

    /// The labels of the point's series; none if it is not selected, or, for a silence, does not say which device it is of.
    fn labels_of(&mut self, rule: &Rule) -> Option<Range<usize>> {
        let selection = &rule.selection;
        let (text, run) = (self.text.as_str(), self.tags.get(self.point.clone())?);
        let is_there = |wanted: (&String, &String)| {
            run.iter().any(|(key, value)| {
                (part_of(text, key), part_of(text, value)) == (wanted.0.as_str(), wanted.1.as_str())
            })
        };
        if !selection.tags.iter().all(is_there) {
            return None;
        }
        if selection.by.is_empty() {
            // A silence then has one series for all.
            let is_one = rule.is_silence();
            return Some(if is_one { 0..0 } else { self.point.clone() });
        }
        let from = self.tags.len();
        for at in self.point.clone() {
            let Some((key, value)) = self.tags.get(at).cloned() else {
                continue;
            };
            let name = part_of(&self.text, &key);
            if selection.by.iter().any(|wanted| wanted == name) {
                self.tags.push((key, value));
            }
        }
        let labels = from..self.tags.len();
        (!rule.is_silence() || labels.len() == selection.by.len()).then_some(labels)
    }

    /// The key of a series is its labels as one text.
    fn push_key(&mut self, labels: Range<usize>) -> Text {
        let from = self.text.len();
        for (key, value) in self.tags.get(labels).unwrap_or_default() {
            if self.text.len() > from {
                self.text.push('\u{1e}');
            }
            self.text.extend_from_within(key.clone());
            self.text.push('\u{1f}');
            self.text.extend_from_within(value.clone());
        }
        from..self.text.len()
    }

    fn push(&mut self, text: &str) -> Text {
        let from = self.text.len();
        self.text.push_str(text);
        from..self.text.len()
    }
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
            let labels = observed.labels();
            let labels = labels.iter().map(|(key, value)| format!("{key}={value}"));
            (
                observed.key.to_owned(),
                labels.collect::<Vec<_>>().join(","),
            )
        })
        .collect()
    }

    /// The text of a key is that of the journal: it must stay as it is.
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
    fn nothing_is_kept_of_points_that_no_rule_selects() {
        let mut observations = Observations::default();
        let rules = [
            rule(r#", "tags": {"site": "south"}"#),
            silence(r#", "by": ["node", "pump"]"#),
        ];
        for _ in 0..1000 {
            begin(&mut observations, &TAGS);
            for (number, rule) in rules.iter().enumerate() {
                observations.see(number, rule, 1, 2, None);
            }
        }
        begin(&mut observations, &[]);
        assert_eq!(
            (
                observations.len(),
                observations.text.len(),
                observations.tags.len()
            ),
            (0, 0, 0)
        );
    }
}
