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

    /// Begin with a point. `show` shows its tags, in any order.
    pub fn point(&mut self, show: impl FnOnce(&mut dyn FnMut(&str, &[u8]))) {
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
