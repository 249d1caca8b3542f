//! Which frames rules look at, and what they see in them.

use crate::evaluator::key_of;
use crate::rule::{Measure, Rule};
use crate::series::Labels;
use iiot_core::Decoded;
use iiot_core::point::{Field, Point, ValueKind};
use iiot_journal::{Encoder, Frame, OriginInfo};
use std::collections::HashMap;

/// A value that a rule watches.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The number of the rule.
    pub rule: usize,
    /// The key of the series.
    pub key: String,
    /// Its tags.
    pub labels: Labels,
    /// The time of the point; nanoseconds since 1970.
    pub time_ns: i64,
    /// When its frame came.
    pub received_ns: i64,
    /// The value, and how it was written; none where it only counts that something came.
    pub value: Option<(f64, String)>,
}

/// Rules by what they look at.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    rules: Vec<Watched>,
    /// Numbers of rules by measurement.
    by_measurement: HashMap<String, Vec<usize>>,
    /// Rules that look at every measurement.
    of_any: Vec<usize>,
    /// Silences of everything: they need no look into a frame.
    of_all: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Watched {
    selection: crate::rule::Selection,
    is_silence: bool,
}

impl Watch {
    /// Look at what these rules do; those of the gateway's figures look at no frame.
    pub fn new(rules: &[Rule]) -> Self {
        let mut watch = Self::default();
        for (number, rule) in rules.iter().enumerate() {
            let selection = &rule.selection;
            let is_silence = matches!(rule.measure, Measure::Silence(..));
            watch.rules.push(Watched {
                selection: selection.clone(),
                is_silence,
            });
            if rule.is_of_gateway() {
                continue;
            }
            let is_of_any = selection.measurement.is_empty();
            if is_of_any && selection.tags.is_empty() && selection.by.is_empty() {
                watch.of_all.push(number);
            } else if is_of_any {
                watch.of_any.push(number);
            } else {
                let known = watch.by_measurement.entry(selection.measurement.clone());
                known.or_default().push(number);
            }
        }
        watch
    }

    fn is_of(&self, number: usize, profile: &str) -> bool {
        self.rules
            .get(number)
            .is_some_and(|Watched { selection: s, .. }| {
                s.profiles.is_empty() || s.profiles.iter().any(|name| name == profile)
            })
    }

    /// Whether a rule needs to know what a frame says.
    pub fn wants(&self, info: &OriginInfo, frame: &Frame<'_>) -> bool {
        let name = info.profile.name();
        let is_of_profile = |numbers: &Vec<usize>| numbers.iter().any(|n| self.is_of(*n, name));
        is_of_profile(&self.of_any)
            || info
                .profile
                .may_give(frame.topic, |measurement| match measurement {
                    Some(fixed) => self.by_measurement.get(fixed).is_some_and(is_of_profile),
                    None => self.by_measurement.values().any(is_of_profile),
                })
    }

    /// Add what rules see in a frame.
    pub fn see(
        &self,
        info: &OriginInfo,
        frame: &Frame<'_>,
        decoded: Option<&Decoded<'_>>,
        seen: &mut Vec<Observation>,
    ) {
        let name = info.profile.name();
        let received_ns = frame.received_at_ns;
        for &rule in self.of_all.iter().filter(|n| self.is_of(**n, name)) {
            seen.push(Observation {
                rule,
                key: String::new(),
                labels: Vec::new(),
                time_ns: received_ns,
                received_ns,
                value: None,
            });
        }
        let Some(decoded) = decoded else {
            return;
        };
        let mut measurement = Vec::new();
        decoded.for_each_point(&info.origin, frame.time(), |point| {
            measurement.clear();
            point.push_measurement(&mut measurement);
            let numbers = std::str::from_utf8(&measurement)
                .ok()
                .and_then(|text| self.by_measurement.get(text));
            let mut tags = None;
            for &number in self.of_any.iter().chain(numbers.into_iter().flatten()) {
                if self.is_of(number, name) {
                    self.see_point(number, &point, received_ns, &mut tags, seen);
                }
            }
        });
    }

    fn see_point(
        &self,
        number: usize,
        point: &Point<'_>,
        received_ns: i64,
        tags: &mut Option<Labels>,
        seen: &mut Vec<Observation>,
    ) {
        let Some(rule) = self.rules.get(number) else {
            return;
        };
        let value = if rule.is_silence {
            None
        } else {
            let Some(value) = value_of(point, &rule.selection.field) else {
                return;
            };
            Some(value)
        };
        let tags = tags.get_or_insert_with(|| tags_of(point));
        let Some(labels) = rule.selection.labels(tags, rule.is_silence) else {
            return;
        };
        seen.push(Observation {
            rule: number,
            key: key_of(&labels),
            labels,
            time_ns: point.time_ns,
            received_ns,
            value,
        });
    }
}

fn tags_of(point: &Point<'_>) -> Labels {
    let mut tags = Vec::new();
    point.tags(|key, value, _| {
        tags.push((key.to_owned(), String::from_utf8_lossy(value).into_owned()));
    });
    tags.sort();
    tags
}

fn value_of(point: &Point<'_>, wanted: &str) -> Option<(f64, String)> {
    let mut name = Vec::new();
    point.fields().find_map(|field| {
        name.clear();
        field.push_name(&mut name);
        (name == wanted.as_bytes()).then(|| number_of(&field))?
    })
}

/// A number or an integer, and a boolean as 1 or 0; a text is none.
fn number_of(field: &Field<'_>) -> Option<(f64, String)> {
    let text = String::from_utf8_lossy(&field.text()).into_owned();
    let value = match field.kind {
        ValueKind::Number | ValueKind::Integer => text.parse().ok()?,
        ValueKind::Bool if text == "true" => 1.0,
        ValueKind::Bool => 0.0,
        ValueKind::String => return None,
    };
    f64::is_finite(value).then_some((value, text))
}

/// Most observations, and frames, of one batch.
const MOST: usize = 20_000;

/// What rules see in the frames of a batch.
pub(crate) struct Seeing<'w> {
    watch: &'w Watch,
    pub observations: Vec<Observation>,
    pub frames: u64,
    /// When the last frame came.
    pub last_received_ns: Option<i64>,
}

impl<'w> Seeing<'w> {
    pub(crate) fn new(watch: &'w Watch) -> Self {
        Self {
            watch,
            observations: Vec::new(),
            frames: 0,
            last_received_ns: None,
        }
    }
}

impl Encoder for Seeing<'_> {
    fn is_full(&self) -> bool {
        self.observations.len() >= MOST || self.frames >= MOST as u64
    }

    fn wants(&mut self, info: &OriginInfo, frame: &Frame<'_>) -> bool {
        self.watch.wants(info, frame)
    }

    fn frame(&mut self, info: &OriginInfo, frame: &Frame<'_>, decoded: Option<&Decoded<'_>>) {
        self.frames += 1;
        self.last_received_ns = Some(frame.received_at_ns);
        self.watch.see(info, frame, decoded, &mut self.observations);
    }
}
