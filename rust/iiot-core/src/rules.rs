//! The compiled rules of a profile file: the tables that scanning and encoding work through.

use std::sync::Arc;

use crate::filter::Filter;
use crate::moment::Belief;
use crate::pattern::Pattern;
use crate::template::Template;
use crate::time_format::TimeFormat;
use crate::trie::{Slot, Trie};

/// The type that a field's value must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueType {
    Number,
    /// A number without a fraction that fits 64 bits.
    Integer,
    Bool,
    String,
    Any,
    /// A number or a boolean; any other value is ignored without a fault.
    Measured,
}

impl ValueType {
    /// The names that a profile may use.
    pub(crate) const NAMES: [&'static str; 5] = ["number", "integer", "bool", "string", "any"];

    /// The type of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "number" => Self::Number,
            "integer" => Self::Integer,
            "bool" => Self::Bool,
            "string" => Self::String,
            "any" => Self::Any,
            _ => return None,
        })
    }
}

/// Where a value is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// In the document.
    Document(Slot),
    /// In the item of the point's `each`, or, if the item has no value, in the document.
    Item { item: Slot, document: Slot },
    /// In the item only.
    Only(Slot),
    /// The text of a named level of the topic under which the document arrived, counted over all points of the profile.
    Level(u32),
    /// The whole topic under which the document arrived.
    Topic,
    /// A tag of the document's device; a number in [`Rules::device_keys`].
    Device(u32),
    /// All other values, which a separate walk finds.
    Others,
}

/// The name of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FieldName {
    Fixed(String),
    /// As its key in the document.
    Key,
}

/// One field of a point: a value and its use.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Its point.
    pub(crate) point: u32,
    pub(crate) name: FieldName,
    pub(crate) address: Address,
    /// Of a [`metric`](crate::metric_file) path.
    pub(crate) wildcards: usize,
    pub(crate) value_type: ValueType,
    /// Where the value is published, if it is.
    pub(crate) topic: Option<Template<Address>>,
    pub(crate) retain: bool,
    /// Left out where one of these is `true`.
    pub(crate) unless: Vec<Address>,
}

/// One point: the properties that its fields have in common.
#[derive(Clone, Debug)]
pub(crate) struct PointRule {
    pub(crate) measurement: Template<Address>,
    pub(crate) tags: Vec<(String, Template<Address>)>,
    /// For documents that arrived under these topics only; empty: for all.
    pub(crate) filters: Vec<Filter>,
    /// Not for documents that arrived under these.
    pub(crate) except_filters: Vec<Filter>,
    /// Number of the level of its filters that is called `device`.
    pub(crate) device_level: Option<usize>,
    /// Number of the first named level of its filters.
    pub(crate) first_level: u32,
    /// The numbers of its fields.
    pub(crate) fields: std::ops::Range<u32>,
    /// The scope of its items; 0 is the document.
    pub(crate) scope: usize,
    pub(crate) time: Option<(Vec<Address>, TimeFormat)>,
    /// Keys that its field for all other values leaves out.
    pub(crate) except: Vec<String>,
    /// Further rules of the profile about such fields; each rule knows its own field.
    pub(crate) others: Vec<OthersRule>,
    /// It came from `[[metric]]`: each value is a point of its own.
    pub(crate) is_short: bool,
}

/// A profile's rule for the other values of a point, if it says more than which keys are left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct OthersRule {
    /// Number of the field that stands for all of them.
    pub(crate) field: u32,
    /// The address of the value that contains them; none: the document or item.
    pub(crate) within: Option<Address>,
    /// The document or item itself, where it may be one value.
    pub(crate) bare: Option<Address>,
    /// The text before their names in messages about faults.
    pub(crate) path: String,
    /// The name of the value that has a field of its own, and that field. Without such a value, one with the name of the field takes its
    /// place, or a bare document.
    pub(crate) value: Option<(Template<Address>, u32)>,
    /// The addresses of objects whose values are tags, with the path of each.
    pub(crate) tag_objects: Vec<(Address, String)>,
    /// Names of numbers that are integers.
    pub(crate) integers: Vec<Pattern>,
    /// If set, values in objects and lists are other values as well; this joins their names.
    pub(crate) separator: Option<String>,
    /// Names of values that are tags.
    pub(crate) tags: Vec<Pattern>,
    /// Names of values that may be fields; none: all.
    pub(crate) fields: Option<Vec<Pattern>>,
    /// Names of booleans that are fields; none: all.
    pub(crate) booleans: Option<Vec<Pattern>>,
    /// Names of texts that are fields; none: texts are ignored.
    pub(crate) strings: Option<Vec<Pattern>>,
    /// Names that are left out.
    pub(crate) except: Vec<Pattern>,
    /// Names of values that the point or the profile reads by a path; these are not other values.
    pub(crate) taken: Vec<Pattern>,
    /// The keys of the point's own tags.
    pub(crate) own_tags: Vec<String>,
}

impl OthersRule {
    /// Whether some values are tags.
    pub(crate) fn has_tags(&self) -> bool {
        !self.tags.is_empty() || !self.tag_objects.is_empty()
    }
}

/// The meaning of equal documents with the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Repeats {
    /// One document, which was sent again because its sender had no confirmation.
    #[default]
    Duplicate,
    /// Different ones.
    Real,
}

/// Documents that are not telemetry.
#[derive(Clone, Debug)]
pub(crate) struct IgnoreRule {
    pub(crate) name: Arc<str>,
    /// Only under such topics; none for any.
    pub(crate) filters: Vec<Filter>,
    pub(crate) has: Vec<Slot>,
    pub(crate) lacks: Vec<Slot>,
}

impl IgnoreRule {
    /// The topic alone decides.
    pub(crate) fn is_of_topic(&self) -> bool {
        self.has.is_empty() && self.lacks.is_empty()
    }
}

/// A part of a document that is read separately: the document, or each item that a path matches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    /// The slot of the items in the document; none for the document itself.
    pub(crate) each: Option<Slot>,
    pub(crate) trie: Trie,
}

/// Where a node's sequence number is.
#[derive(Clone, Debug)]
pub(crate) struct SequenceRule {
    pub(crate) node: Template<Address>,
    pub(crate) object: Option<Slot>,
    pub(crate) seq: Slot,
    pub(crate) boot: Option<Slot>,
    pub(crate) wildcards: usize,
    pub(crate) modulus: Option<u64>,
}

/// The receiver of the nodes, if documents say something about it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReceiverRule {
    /// The signal strength of the packet that the document describes, in dBm.
    pub(crate) rssi: Option<Slot>,
    /// The signal-to-noise ratio of this packet, in dB.
    pub(crate) snr: Option<Slot>,
    /// Names that mean the receiver itself, in places of a node's name.
    pub(crate) names: Vec<String>,
}

/// In which documents values of the short form may have one series and field in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sharing {
    pub(crate) always: bool,
    /// In those of registered devices, whose tags hide those of the profile.
    pub(crate) with_devices: bool,
    /// In those in which wildcards match.
    pub(crate) with_wildcards: bool,
    /// In those in which a wildcard matches one of these names, or one that lines cannot have as it is.
    pub(crate) names: Vec<String>,
}

/// The compiled rules of a file.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each answers a question about every document in one comparison"
)]
pub(crate) struct Rules {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) uptime: Option<Slot>,
    pub(crate) uptime_bits: u32,
    pub(crate) packet_counter: Option<Slot>,
    pub(crate) age: Option<Slot>,
    pub(crate) time: Option<(Vec<Slot>, TimeFormat)>,
    /// The value that names the device whose clock gives the times.
    pub(crate) device: Option<Slot>,
    pub(crate) repeats: Repeats,
    /// Which times of documents are believed.
    pub(crate) belief: Belief,
    pub(crate) sequences: Vec<SequenceRule>,
    pub(crate) receiver: ReceiverRule,
    pub(crate) ignores: Vec<IgnoreRule>,
    /// A field of the short form has an `unless`.
    pub(crate) has_conditions: bool,
    pub(crate) points: Vec<PointRule>,
    pub(crate) fields: Vec<Field>,
    /// Number, slot and type of the short points without wildcards, close together in memory, because every document
    /// needs all of them.
    pub(crate) single_metrics: Vec<SingleMetric>,
    /// The same of those with wildcards.
    pub(crate) wild_metrics: Vec<SingleMetric>,
    /// In which documents values of the short form may overwrite each other.
    pub(crate) sharing: Sharing,
    /// The points of the long form, by number.
    pub(crate) long_points: Vec<u32>,
    /// The first is the document.
    pub(crate) scopes: Vec<Scope>,
    /// Tags of devices that templates name.
    pub(crate) device_keys: Vec<String>,
    /// The named levels of all filters.
    pub(crate) level_names: Vec<String>,
    /// What a document yields depends on its topic.
    pub(crate) reads_topics: bool,
    /// Some point accepts documents that arrived under any topic, or under none.
    pub(crate) takes_any_topic: bool,
    /// Some field is the document itself, so that it may be a bare value.
    pub(crate) takes_bare_values: bool,
}

impl Rules {
    /// The tree of the document's own paths.
    pub(crate) fn trie(&self) -> &Trie {
        static NONE: Trie = Trie::EMPTY;
        self.scopes.first().map_or(&NONE, |scope| &scope.trie)
    }
}

/// Number of the field, slot and type of a short point whose path has no wildcard.
pub(crate) type SingleMetric = (u32, Slot, ValueType);
