//! The values that a profile found in one document, as points. All encoders work from them.

use std::borrow::Cow;
use std::ops::Deref;

use crate::found::{FieldRef, FoundTag, PointRef, Value};
use crate::kind::Kind;
use crate::number::integer;
use crate::render::push_value;
use crate::rules::{Repeats, Rules, ValueType};
use crate::scan::Scan;
use crate::values::usable;

/// A document and the values found in it. It gives lines ([`Decoded::write_lines`]), publishes ([`Decoded::publishes`]) and typed points
/// ([`Decoded::for_each_point`]), and the clocks, sequences and faults that the scan found.
#[derive(Clone, Copy, Debug)]
pub struct Decoded<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) document: &'a [u8],
    pub(crate) scan: &'a Scan,
}

impl Deref for Decoded<'_> {
    type Target = Scan;

    fn deref(&self) -> &Scan {
        self.scan
    }
}

/// Where a value stands in its frame. Together with the frame's position it names the value for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The number of its point in the frame, which is the number of its line as well.
    pub point: u32,
    /// The number of its field in the point.
    pub field: u32,
}

/// The time of a frame, and the time when it arrived; nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameTime {
    /// The time that is written for points without a time of their own.
    pub time_ns: i64,
    /// When the frame arrived. This decides which times of points are believed.
    pub received_at_ns: i64,
    /// When the device's run began, if the document's times are uptimes.
    pub uptime_start_ns: Option<i64>,
}

impl FrameTime {
    /// A frame whose time is its arrival.
    pub const fn at(time_ns: i64) -> Self {
        Self {
            time_ns,
            received_at_ns: time_ns,
            uptime_start_ns: None,
        }
    }
}

/// Why a time in a document is not the time of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnusedTime {
    /// The device's run decides, which one document does not show.
    Uptime,
    /// See [`crate::moment::Belief`].
    NotBelieved,
}

impl std::fmt::Display for UnusedTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Uptime => {
                "an uptime; the time is known once the gateway has heard the device's run begin"
            }
            Self::NotBelieved => {
                "not believed: before `earliest`, or further ahead than `most_ahead_s`"
            }
        })
    }
}

impl<'a> Decoded<'a> {
    /// The document.
    pub fn document(&self) -> &'a [u8] {
        self.document
    }

    /// The document's own time, in nanoseconds since 1970, if a document that arrived at `received_at_ns` can have that time. If the number may be an
    /// uptime or a date, the start of the device's run decides which it is.
    pub fn own_time(&self, received_at_ns: i64, uptime_start_ns: Option<i64>) -> Option<i64> {
        self.scan
            .time
            .and_then(|own| own.at(uptime_start_ns))
            .filter(|own| self.rules.belief.holds(*own, received_at_ns))
    }

    /// The time of the document if nothing is known of its device or of documents before: its own, or that of its arrival less its age.
    pub fn time_alone(&self, received_at_ns: i64) -> FrameTime {
        FrameTime {
            time_ns: self
                .own_time(received_at_ns, None)
                .or_else(|| self.rules.belief.earlier(received_at_ns, self.age_ms()))
                .unwrap_or(received_at_ns),
            received_at_ns,
            uptime_start_ns: None,
        }
    }

    /// Which times of the document and its points, and which age, cannot be used for a document that arrived at `received_at_ns`, from a device whose start is not known;
    /// each once.
    pub fn unused_times(&self, received_at_ns: i64) -> Vec<UnusedTime> {
        let mut found = Vec::new();
        for own in self.scan.times() {
            let unused = match own.at(None) {
                None => UnusedTime::Uptime,
                Some(time_ns) if !self.rules.belief.holds(time_ns, received_at_ns) => {
                    UnusedTime::NotBelieved
                }
                Some(_) => continue,
            };
            if !found.contains(&unused) {
                found.push(unused);
            }
        }
        let is_stamped = self.own_time(received_at_ns, None).is_none();
        let then_ns = self.rules.belief.earlier(received_at_ns, self.age_ms());
        if is_stamped && then_ns.is_none() && !found.contains(&UnusedTime::NotBelieved) {
            found.push(UnusedTime::NotBelieved);
        }
        found
    }

    /// The signal strength (dBm) and the signal-to-noise ratio (dB) of the packet that the document describes, as the document writes them.
    pub fn signal(&self) -> [Option<&'a [u8]>; 2] {
        let receiver = &self.rules.receiver;
        [receiver.rssi, receiver.snr].map(|slot| {
            let value = self.scan.values.get(slot? as usize)?;
            let is_number = usable(*value, ValueType::Number, self.document) == Ok(true);
            is_number.then(|| value.text(self.document))
        })
    }

    /// Whether two equal documents with the same time are both real, and neither is a repeat.
    pub fn repeats_are_real(&self) -> bool {
        self.rules.repeats == Repeats::Real
    }

    /// Whether documents of this profile have their node's clock.
    pub fn has_clock(&self) -> bool {
        self.rules.uptime.is_some()
    }

    /// Show every point: its number, its time, its fields, and the tags that the document and its device gave it.
    #[inline]
    pub(crate) fn each_point(
        &self,
        frame: FrameTime,
        mut visit: impl FnMut(u32, i64, &'a [FieldRef], &'a [FoundTag]),
    ) {
        if !self.scan.has_points {
            for (number, field) in (0..).zip(&self.scan.fields) {
                let tags = self.scan.tags_of_device();
                visit(number, frame.time_ns, std::slice::from_ref(field), tags);
            }
            return;
        }
        for (number, point) in (0..).zip(&self.scan.points) {
            let time_ns = self.time_of(*point, frame);
            visit(
                number,
                time_ns,
                self.fields_of(*point),
                self.scan.tags_of(point),
            );
        }
    }

    /// Show the number and the time of every point.
    pub fn point_times(&self, frame: FrameTime, mut visit: impl FnMut(u32, i64)) {
        self.each_point(frame, |number, time_ns, _, _| visit(number, time_ns));
    }

    /// Show every value with its place; in the order of points and fields.
    #[inline]
    pub(crate) fn each_value(&self, mut visit: impl FnMut(Place, &FieldRef)) {
        self.each_point(FrameTime::at(0), |point, _, fields, _| {
            for (field, value) in (0..).zip(fields) {
                visit(Place { point, field }, value);
            }
        });
    }

    /// The fields of a point.
    pub(crate) fn fields_of(&self, point: PointRef) -> &'a [FieldRef] {
        let range = point.first as usize..point.end as usize;
        self.scan.fields.get(range).unwrap_or_default()
    }

    /// The time of a point.
    pub(crate) fn time_of(&self, point: PointRef, frame: FrameTime) -> i64 {
        let time_ns = if point.time == self.scan.time {
            // The frame's time was made from this time, and may have been moved because another value has it.
            frame.time_ns
        } else {
            point
                .time
                .and_then(|own| own.at(frame.uptime_start_ns))
                .filter(|own| self.rules.belief.holds(*own, frame.received_at_ns))
                .unwrap_or(frame.time_ns)
        };
        time_ns.saturating_add(i64::from(point.later_ms) * 1_000_000)
    }

    /// Append the text of a value: a number as it came, an integer as its digits, a string without quotes and escapes.
    pub(crate) fn push_text(&self, value: Value, out: &mut Vec<u8>) {
        let text = value.text(self.document);
        if let Some(level) = self.level(value) {
            match integer(level).filter(|_| value.kind == Kind::LevelInteger) {
                Some(number) => out.extend_from_slice(number.to_string().as_bytes()),
                None => out.extend_from_slice(level),
            }
        } else if value.kind == Kind::Integer && !is_plain(text) {
            let number = integer(text).unwrap_or_default();
            out.extend_from_slice(number.to_string().as_bytes());
        } else {
            push_value(self.document, value, out);
        }
    }

    /// The text of a value that is a level of the topic.
    fn level(&self, value: Value) -> Option<&'a [u8]> {
        let place = value.start as usize..value.end as usize;
        let topic = &self.scan.topic;
        value
            .kind
            .is_level()
            .then(|| topic.get(place).unwrap_or_default())
    }

    /// As [`push_text`](Self::push_text); borrowed if the document contains the text in this form.
    #[inline]
    pub(crate) fn text(&self, value: Value) -> Cow<'a, [u8]> {
        match value.kind {
            kind if kind == Kind::EscapedString || kind == Kind::Integer || kind.is_level() => {
                let mut text = Vec::new();
                self.push_text(value, &mut text);
                Cow::Owned(text)
            }
            _ => Cow::Borrowed(value.text(self.document)),
        }
    }
}

/// An integer as databases write it.
fn is_plain(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    digits.iter().all(u8::is_ascii_digit) && text != b"-0"
}
