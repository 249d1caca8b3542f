//! A profile: the rules that turn documents into points. Compiled from a TOML file (`profile_file.rs` describes it); immutable.

use std::fmt;
use std::sync::Arc;

use crate::conclude;
use crate::conditions;
use crate::hash::fingerprint;
use crate::json::{Outcome, read_document};
use crate::moment::TimeFormat;
use crate::observe::Noting;
use crate::profile_file::Age;
use crate::scan::{Scan, ScanFault, ScanFaultReason};
use crate::shape::Shape;
use crate::shapes::collect;
use crate::template::Template;
use crate::trie::{Slot, Trie};
use crate::unusable;

/// What a metric's value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueType {
    Number,
    Bool,
    String,
    Any,
}

/// One metric: a path and what becomes of its value.
#[derive(Clone, Debug)]
pub(crate) struct Metric {
    pub(crate) slot: Slot,
    pub(crate) wildcards: usize,
    pub(crate) topic: Option<Template<Slot>>,
    pub(crate) measurement: Template<Slot>,
    pub(crate) tags: Vec<(String, Template<Slot>)>,
    pub(crate) field: String,
    pub(crate) value_type: ValueType,
    pub(crate) retain: bool,
    /// Left out where one of these is `true`.
    pub(crate) unless: Vec<Slot>,
}

/// Which documents are no telemetry.
#[derive(Clone, Debug)]
pub(crate) struct IgnoreRule {
    pub(crate) name: Arc<str>,
    pub(crate) has: Vec<Slot>,
    pub(crate) lacks: Vec<Slot>,
}

/// Where a node's sequence number is.
#[derive(Clone, Debug)]
pub(crate) struct SequenceRule {
    pub(crate) node: Template<Slot>,
    pub(crate) object: Option<Slot>,
    pub(crate) seq: Slot,
    pub(crate) boot: Option<Slot>,
    pub(crate) wildcards: usize,
    pub(crate) modulus: Option<u64>,
}

/// What the file says, compiled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) uptime: Option<Slot>,
    pub(crate) uptime_bits: u32,
    pub(crate) packet_counter: Option<Slot>,
    pub(crate) age: Option<Slot>,
    pub(crate) time: Option<(Slot, TimeFormat)>,
    pub(crate) sequences: Vec<SequenceRule>,
    pub(crate) metrics: Vec<Metric>,
    pub(crate) ignores: Vec<IgnoreRule>,
    /// A metric has an `unless`.
    pub(crate) has_conditions: bool,
    /// Number, slot and type of the metrics without wildcards, close together: every document asks for all of them.
    pub(crate) single_metrics: Vec<SingleMetric>,
    pub(crate) trie: Trie,
}

/// Number, slot and type of a metric whose path has no wildcard.
pub(crate) type SingleMetric = (u32, Slot, ValueType);

/// Rules that turn documents into points.
#[derive(Clone, Debug)]
pub struct Profile {
    text: String,
    hash: u64,
    looked_for: Arc<str>,
    pub(crate) rules: Rules,
}

/// A profile file has faults; all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileError {
    /// In the order of their lines.
    pub faults: Vec<ProfileFault>,
}

/// One fault of a profile file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileFault {
    /// Counted from 1; 0 means the whole file.
    pub line: usize,
    /// What is wrong and what would be right.
    pub message: String,
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

    /// Compile a text that was accepted before, perhaps by an earlier version, with which frames are stored: what became a fault since then is
    /// none here, so that they can be decoded for ever.
    pub fn stored(text: &str) -> Result<Self, ProfileError> {
        Self::compile(text, Age::Stored)
    }

    fn compile(text: &str, age: Age) -> Result<Self, ProfileError> {
        let rules =
            crate::profile_file::read(text, age).map_err(|faults| ProfileError { faults })?;
        let wanted = rules
            .metrics
            .iter()
            .filter_map(|metric| rules.trie.wanted.get(metric.slot as usize));
        let paths: Vec<String> = wanted.map(|wanted| wanted.path.to_string()).collect();
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

    /// What it is for, in a sentence; may be empty.
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

    /// Find in `document` (one JSON object, nothing around it) what the profile looks for.
    pub fn scan(&self, document: &[u8], scan: &mut Scan) -> Result<(), ScanFault> {
        if u32::try_from(document.len()).is_err() {
            return Err(ScanFault {
                reason: ScanFaultReason::TooLong,
                at: 0,
            });
        }
        let read = self.read(document, scan);
        let end = read.map_err(|fault| ScanFault {
            reason: ScanFaultReason::NotADocument(fault.syntax),
            at: fault.at,
        });
        let end = end.inspect_err(|_| conclude::clear(scan))?;
        if end < document.len() {
            conclude::clear(scan);
            return Err(ScanFault {
                reason: ScanFaultReason::BytesBehind,
                at: end,
            });
        }
        self.conclude(document, scan)
    }

    /// First half of a scan: read the document at the start of `bytes`, noting values. Returns the offset behind it.
    #[inline]
    pub(crate) fn read(&self, bytes: &[u8], scan: &mut Scan) -> Outcome<usize> {
        if scan.profile == Some(self.hash)
            && let Some(end) = scan.shapes.read(bytes)
        {
            scan.overflowed = None;
            let Scan {
                shapes,
                values,
                found,
                captures,
                ..
            } = scan;
            shapes.apply(values, found, captures);
            return Ok(end);
        }
        scan.shapes.unapply();
        self.parse_document(bytes, scan)
    }

    /// Read a document whose shape is not known, and remember it.
    fn parse_document(&self, bytes: &[u8], scan: &mut Scan) -> Outcome<usize> {
        let end = read_document(bytes, &mut Noting::begin(&self.rules.trie, self.hash, scan))?;
        if scan.shapes.is_learning()
            && let Some(document) = bytes.get(..end)
            && let Some(tokens) =
                collect(document, Noting::begin(&self.rules.trie, self.hash, scan))?
            && !scan.forgot
            && scan.overflowed.is_none()
            && let Some(shape) = Shape::of(document, &tokens, scan, &self.rules.single_metrics)
        {
            scan.shapes.remember(shape);
        }
        Ok(end)
    }

    /// Second half: make points, clock and sequences of the values noted.
    #[inline]
    pub(crate) fn conclude(&self, document: &[u8], scan: &mut Scan) -> Result<(), ScanFault> {
        if let Some(name) = conditions::ignored(&self.rules, scan) {
            conclude::clear(scan);
            let reason = ScanFaultReason::Ignored { name };
            return Err(ScanFault { reason, at: 0 });
        }
        conclude::conclude(&self.rules, document, scan);
        if scan.points.is_empty() {
            let reason = ScanFaultReason::NothingUsable {
                looked_for: Arc::clone(&self.looked_for),
                found: unusable::list(&self.rules, document, scan),
            };
            return Err(ScanFault { reason, at: 0 });
        }
        Ok(())
    }
}
