//! Finds the frames that rules watch, and the values in them.

use crate::observations::Observations;
use crate::rule::Rule;
use iiot_core::Decoded;
use iiot_core::point::{Field, Point, ValueKind};
use iiot_journal::{Encoder, Frame, OriginInfo};
use std::borrow::Cow;
use std::collections::HashMap;

/// Rules by the measurements that they watch.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    rules: Vec<Rule>,
    /// Numbers of rules by measurement.
    by_measurement: HashMap<String, Vec<usize>>,
    /// Rules that look at every measurement.
    of_any: Vec<usize>,
    /// Silences of all data. They do not read the content of frames.
    of_all: Vec<usize>,
}

impl Watch {
    /// Watch the data of these rules. Rules for the gateway's figures watch no frames.
    pub fn new(rules: &[Rule]) -> Self {
        let mut watch = Self {
            rules: rules.to_vec(),
            ..Self::default()
        };
        for (number, rule) in rules.iter().enumerate() {
            let selection = &rule.selection;
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
        self.rules.get(number).is_some_and(|rule| {
            let profiles = &rule.selection.profiles;
            profiles.is_empty() || profiles.iter().any(|name| name == profile)
        })
    }

    /// Whether any rule needs the content of frames.
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

    /// Add the values that rules see in a frame.
    pub fn see(
        &self,
        info: &OriginInfo,
        frame: &Frame<'_>,
        decoded: Option<&Decoded<'_>>,
        seen: &mut Observations,
    ) {
        let name = info.profile.name();
        let received_ns = frame.received_at_ns;
        for &number in self.of_all.iter().filter(|n| self.is_of(**n, name)) {
            if let Some(rule) = self.rules.get(number) {
                seen.point(|_| {});
                seen.see(number, rule, received_ns, received_ns, None);
            }
        }
        let Some(decoded) = decoded else {
            return;
        };
        let mut room = Vec::new();
        decoded.for_each_point(&info.origin, frame.time(), |point| {
            room.clear();
            point.push_measurement(&mut room);
            let numbers = std::str::from_utf8(&room)
                .ok()
                .and_then(|text| self.by_measurement.get(text));
            let numbers = self.of_any.iter().chain(numbers.into_iter().flatten());
            let mut is_begun = false;
            for &number in numbers.filter(|n| self.is_of(**n, name)) {
                let Some(rule) = self.rules.get(number) else {
                    continue;
                };
                let found = value_of(&point, rule, &mut room);
                if found.is_none() && !rule.is_silence() {
                    continue;
                }
                let value = found.as_ref().map(|(value, text)| (*value, text.as_ref()));
                if !is_begun {
                    seen.point(|add| point.tags(|key, value, _| add(key, value)));
                    is_begun = true;
                }
                seen.see(number, rule, point.time_ns, received_ns, value);
            }
        });
    }
}

/// The number that a rule watches, and its written form; none for a rule that only checks whether any value came.
fn value_of<'d>(point: &Point<'d>, rule: &Rule, room: &mut Vec<u8>) -> Option<(f64, Cow<'d, str>)> {
    if rule.is_silence() {
        return None;
    }
    point.fields().find_map(|field| {
        room.clear();
        field.push_name(room);
        (room == rule.selection.field.as_bytes()).then(|| number_of(&field))?
    })
}

/// A number or an integer, and a boolean as 1 or 0; a text is none.
fn number_of<'d>(field: &Field<'d>) -> Option<(f64, Cow<'d, str>)> {
    let text = match field.text() {
        Cow::Borrowed(text) => Cow::Borrowed(std::str::from_utf8(text).ok()?),
        Cow::Owned(text) => Cow::Owned(String::from_utf8(text).ok()?),
    };
    let value = match field.kind {
        ValueKind::Number | ValueKind::Integer => text.parse().ok()?,
        ValueKind::Bool if text == "true" => 1.0,
        ValueKind::Bool => 0.0,
        ValueKind::String => return None,
    };
    f64::is_finite(value).then_some((value, text))
}

/// The most observations, and the most frames, in one batch.
const MOST: usize = 20_000;
/// The approximate limit of memory for a batch's sets of tags. One more frame may exceed it.
const MOST_BYTES: usize = 32 << 20;

/// The values that rules see in the frames of a batch.
pub(crate) struct Seeing<'w> {
    watch: &'w Watch,
    observations: &'w mut Observations,
    pub frames: u64,
    /// When the last frame came.
    pub last_received_ns: Option<i64>,
}

impl<'w> Seeing<'w> {
    /// Begin a batch. Drop the observations of the last one, and keep its sets of tags.
    pub(crate) fn new(watch: &'w Watch, observations: &'w mut Observations) -> Self {
        observations.clear();
        Self {
            watch,
            observations,
            frames: 0,
            last_received_ns: None,
        }
    }
}

impl Encoder for Seeing<'_> {
    fn is_full(&self) -> bool {
        self.frames >= MOST as u64
            || self.observations.len() >= MOST
            || self.observations.bytes() >= MOST_BYTES
    }

    fn wants(&mut self, info: &OriginInfo, frame: &Frame<'_>) -> bool {
        self.watch.wants(info, frame)
    }

    fn frame(&mut self, info: &OriginInfo, frame: &Frame<'_>, decoded: Option<&Decoded<'_>>) {
        self.frames += 1;
        self.last_received_ns = Some(frame.received_at_ns);
        self.watch.see(info, frame, decoded, self.observations);
    }
}
