//! A profile: the rules that turn documents into points. Compiled from a TOML file (`profile_file.rs` describes it); immutable.

use std::fmt;
use std::sync::Arc;

use crate::conclude;
use crate::conditions;
use crate::decoded::Decoded;
use crate::faults::path;
use crate::filter::Filter;
use crate::hash::fingerprint;
use crate::json::blank_from;
use crate::moment::Belief;
use crate::reading;
use crate::rules::{Address, FieldName, PointRule, Rules};
use crate::scan::{Scan, ScanFault, ScanFaultReason};
use crate::syntax::{Outcome, SyntaxFault};
use crate::toml_table::{Age, ProfileFault};
use crate::unusable;
use crate::{long, long_topic};

/// Rules that turn documents into points.
#[derive(Clone, Debug)]
pub struct Profile {
    text: String,
    hash: u64,
    looked_for: Arc<str>,
    pub(crate) rules: Rules,
}

/// All faults of a profile file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileError {
    /// In the order of their lines.
    pub faults: Vec<ProfileFault>,
}

impl fmt::Display for ProfileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(
                formatter,
                "{separator}line {}: {}",
                fault.line, fault.message
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for ProfileError {}

impl Profile {
    /// Compile the text of a profile file.
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        Self::compile(text, Age::New)
    }

    /// Compile a text that was accepted before, perhaps by an earlier version, and is stored with frames. Rules of the file that have become stricter since do not apply, and its
    /// `[[ignore]]` entries do not apply, so that these frames can be decoded for ever.
    pub fn stored(text: &str) -> Result<Self, ProfileError> {
        Self::compile(text, Age::Stored)
    }

    fn compile(text: &str, age: Age) -> Result<Self, ProfileError> {
        let rules =
            crate::profile_file::read(text, age).map_err(|faults| ProfileError { faults })?;
        let paths: Vec<String> = looked_for(&rules);
        Ok(Self {
            text: text.to_owned(),
            hash: fingerprint(text.as_bytes()),
            looked_for: paths.join(", ").into(),
            rules,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.rules.name
    }

    /// The profile's purpose, in a sentence; may be empty.
    pub fn description(&self) -> &str {
        &self.rules.description
    }

    /// The text it was compiled from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Fingerprint of the text; the same on every machine and in every version.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many bits the node's clock in milliseconds has before it wraps.
    pub fn uptime_bits(&self) -> u32 {
        self.rules.uptime_bits
    }

    /// Whether this name means the receiver of the nodes, not a node.
    pub fn is_receiver(&self, name: &str) -> bool {
        self.rules.receiver.names.iter().any(|own| own == name)
    }

    /// Whether its documents have times of their own.
    pub fn has_times(&self) -> bool {
        self.rules.time.is_some() || self.rules.points.iter().any(|point| point.time.is_some())
    }

    /// Which times of its documents are believed.
    pub fn belief(&self) -> Belief {
        self.rules.belief
    }

    /// Whether a document with this topic may give a point of a wanted measurement. For a measurement that depends on the document, `wanted` is called with
    /// `None`.
    pub fn may_give(&self, topic: Option<&[u8]>, wanted: impl Fn(Option<&str>) -> bool) -> bool {
        let matches = |filters: &[Filter]| {
            let topic = topic.unwrap_or_default();
            filters.is_empty()
                || filters
                    .iter()
                    .any(|filter| !topic.is_empty() && filter.matches(topic, |_, _| {}))
        };
        let mut points = self.rules.points.iter();
        points.any(|point| wanted(point.measurement.fixed()) && matches(&point.filters))
    }

    /// Whether any document may give this field of this measurement; an empty name means any.
    pub fn may_give_field(&self, measurement: &str, field: &str) -> bool {
        let is_called = |point: &PointRule| {
            let fixed = point.measurement.fixed();
            measurement.is_empty() || fixed.is_none_or(|fixed| fixed == measurement)
        };
        self.rules.fields.iter().any(|known| {
            let has_name = match &known.name {
                FieldName::Fixed(name) => field.is_empty() || name == field,
                FieldName::Key => true,
            };
            let point = self.rules.points.get(known.point as usize);
            has_name && point.is_some_and(is_called)
        })
    }

    /// The id of the device that a topic names: the level called `device` of the first point that accepts documents with this topic and has such a level.
    pub fn device_in<'t>(&self, topic: &'t [u8]) -> Option<&'t [u8]> {
        let points = self.rules.long_points.iter();
        let mut rules = points.filter_map(|number| self.rules.points.get(*number as usize));
        rules.find_map(|rule| rule.device_in(topic))
    }

    /// Find the values that the profile wants in `document` (one JSON object on one line, nothing around it).
    ///
    /// If no value of a document is usable, the scan still holds the node's clock.
    pub fn scan<'a>(
        &'a self,
        document: &'a [u8],
        scan: &'a mut Scan,
    ) -> Result<Decoded<'a>, ScanFault> {
        limit_length(document)?;
        let read = self.read(document, scan).map_err(not_a_document);
        let end = read.inspect_err(|_| scan.forget_results())?;
        if end < document.len() {
            scan.forget_results();
            return Err(bytes_behind(end));
        }
        self.conclude(document, scan)?;
        Ok(self.decoded(document, scan))
    }

    /// Find the values that the profile wants in a message: any JSON value, with blanks and line feeds in and around it, or a bare text if the profile accepts
    /// one. `topic` is the topic under which the message arrived.
    ///
    /// Accepts everything that [`Profile::scan`] accepts, with the same result.
    pub fn decode<'a>(
        &'a self,
        topic: Option<&[u8]>,
        document: &'a [u8],
        scan: &'a mut Scan,
    ) -> Result<Decoded<'a>, ScanFault> {
        self.decode_of(topic, &[], document, scan)
    }

    /// As [`Profile::decode`], for a document of a device: `device` is its snapshot ([`device_snapshot`](crate::device_snapshot)), and empty for none.
    pub fn decode_of<'a>(
        &'a self,
        topic: Option<&[u8]>,
        device: &[u8],
        document: &'a [u8],
        scan: &'a mut Scan,
    ) -> Result<Decoded<'a>, ScanFault> {
        limit_length(document)?;
        if let Some(topic) = topic
            && let Some(name) = conditions::ignored_topic(&self.rules, topic)
        {
            scan.forget_results();
            let reason = ScanFaultReason::Ignored { name };
            return Err(ScanFault { reason, at: 0 });
        }
        if !long_topic::enter(&self.rules, self.hash, topic, device, scan) {
            scan.forget_results();
            return Err(topic_not_accepted(scan));
        }
        let read = match reading::message(&self.rules, self.hash, document, scan) {
            Ok((array, end)) => blank_from(document, end)
                .map(|()| array)
                .map_err(bytes_behind),
            Err(fault) => Err(not_a_document(fault)),
        };
        let array = match read {
            Ok(array) => array,
            Err(_) if self.takes_as_text(document, scan) => None,
            Err(fault) => {
                scan.forget_results();
                return Err(fault);
            }
        };
        if let Some(array) = array {
            long::array(&self.rules, self.hash, document, array, scan);
        } else {
            self.refuse_ignored(scan)?;
            conclude::conclude(&self.rules, self.hash, document, scan);
        }
        self.anything(document, scan)?;
        Ok(self.decoded(document, scan))
    }

    /// Treat a message that is not JSON as a text, if the profile accepts bare values: many devices send `ON`.
    fn takes_as_text(&self, document: &[u8], scan: &mut Scan) -> bool {
        let text = document.trim_ascii();
        let looks_like_json = matches!(text.first(), None | Some(b'{' | b'[' | b'"'));
        if !self.rules.takes_bare_values || looks_like_json {
            return false;
        }
        let is_text = std::str::from_utf8(text).is_ok_and(|text| !text.contains('\0'));
        let start = document.len() - document.trim_ascii_start().len();
        if is_text {
            reading::bare_text(&self.rules, self.hash, start..start + text.len(), scan);
        }
        is_text
    }

    /// The result of the last scan, which must have been a scan of `document` by this profile.
    pub fn decoded<'a>(&'a self, document: &'a [u8], scan: &'a Scan) -> Decoded<'a> {
        Decoded {
            rules: &self.rules,
            document,
            scan,
        }
    }

    /// First half of a scan: read the document at the start of `bytes`, noting values. Returns the offset behind it.
    #[inline]
    pub(crate) fn read(&self, bytes: &[u8], scan: &mut Scan) -> Outcome<usize> {
        reading::document(&self.rules, self.hash, bytes, scan)
    }

    /// Second half: make points, clock and sequences from the noted values.
    #[inline]
    pub(crate) fn conclude(&self, document: &[u8], scan: &mut Scan) -> Result<(), ScanFault> {
        if !long_topic::enter(&self.rules, self.hash, None, &[], scan) {
            scan.forget_results();
            return Err(topic_not_accepted(scan));
        }
        self.refuse_ignored(scan)?;
        conclude::conclude(&self.rules, self.hash, document, scan);
        self.anything(document, scan)
    }

    /// A fault, if the document is not telemetry.
    #[inline]
    fn refuse_ignored(&self, scan: &mut Scan) -> Result<(), ScanFault> {
        if let Some(name) = conditions::ignored(&self.rules, scan) {
            scan.forget_results();
            let reason = ScanFaultReason::Ignored { name };
            return Err(ScanFault { reason, at: 0 });
        }
        Ok(())
    }

    /// A fault, if nothing usable was found.
    #[inline]
    fn anything(&self, document: &[u8], scan: &Scan) -> Result<(), ScanFault> {
        if scan.fields.is_empty() {
            let reason = ScanFaultReason::NothingUsable {
                looked_for: Arc::clone(&self.looked_for),
                found: unusable::list(&self.rules, document, scan),
            };
            return Err(ScanFault { reason, at: 0 });
        }
        Ok(())
    }
}

/// The paths of all fields.
fn looked_for(rules: &Rules) -> Vec<String> {
    let paths = rules.fields.iter().filter_map(|field| {
        let scope = rules.points.get(field.point as usize)?.scope;
        match field.address {
            Address::Item { item: slot, .. } | Address::Only(slot) => path(rules, scope, slot),
            Address::Document(slot) => path(rules, 0, slot),
            Address::Others => Some("*".to_owned()),
            Address::Level(_) | Address::Topic | Address::Device(_) => None,
        }
    });
    let mut paths: Vec<String> = paths.collect();
    let mut known = std::collections::HashSet::new();
    paths.retain(|path| known.insert(path.clone()));
    paths
}

fn limit_length(document: &[u8]) -> Result<(), ScanFault> {
    if u32::try_from(document.len()).is_err() {
        return Err(ScanFault {
            reason: ScanFaultReason::TooLong,
            at: 0,
        });
    }
    Ok(())
}

fn not_a_document(fault: SyntaxFault) -> ScanFault {
    ScanFault {
        reason: ScanFaultReason::NotADocument(fault.syntax),
        at: fault.at,
    }
}

fn bytes_behind(at: usize) -> ScanFault {
    ScanFault {
        reason: ScanFaultReason::BytesBehind,
        at,
    }
}

fn topic_not_accepted(scan: &Scan) -> ScanFault {
    ScanFault {
        reason: ScanFaultReason::TopicNotAccepted {
            topic: String::from_utf8_lossy(&scan.topic).into(),
        },
        at: 0,
    }
}
