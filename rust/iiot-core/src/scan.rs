//! The values that a profile found in one document: ranges of its text, without copies. A scan is made once and used for
//! document after document.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;
use std::ops::Range;

use crate::flatten::Walk;
use crate::found::{Capture, FieldRef, Found, FoundTag, PointRef, Table, Value};
use crate::hash::AsIs;
use crate::moment::Moment;
use crate::rules::Address;
pub use crate::scan_faults::{ScanFault, ScanFaultReason, ValueFault, ValueFaultReason};
use crate::shapes::Shapes;
use crate::trie::Slot;

/// A node's count of its packets, for the detection of duplicates and losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// The node; [`Scan::node_name`] gives its name.
    pub node: NodeKey,
    /// A number that changes when the node restarts, if it sends one.
    pub boot: Option<u64>,
    /// The sequence number.
    pub seq: u64,
    /// The sequence number counts modulo this, if the profile says so.
    pub modulus: Option<u64>,
    /// Fingerprint of the raw text of the node's object.
    pub object_hash: u64,
}

/// The name of a node within its scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeKey {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// The values that a profile found in a document. They are valid together with that document's bytes, until the next scan.
#[derive(Debug, Default)]
pub struct Scan {
    /// By slot.
    pub(crate) values: Vec<Value>,
    pub(crate) found: Vec<Found>,
    pub(crate) captures: Vec<Capture>,
    /// By place: the `document` in which the place was seen last.
    pub(crate) seen: Vec<u32>,
    pub(crate) document: u32,
    /// The first value that was left out, because wildcards gave more than is kept.
    pub(crate) overflowed: Option<Value>,
    /// The profile for which the tables above are laid out.
    pub(crate) profile: Option<u64>,
    /// By depth, while reading: the match there, and how much was found before.
    pub(crate) trail: Vec<Capture>,
    pub(crate) found_before: Vec<u32>,
    /// Where the object at each depth begins, and fingerprints of the keys that wildcards matched.
    pub(crate) opened: Vec<u32>,
    pub(crate) keys: HashSet<u64, BuildHasherDefault<AsIs>>,

    /// A key came twice in an object, and the values of the first one were forgotten.
    pub(crate) forgot: bool,
    pub(crate) shapes: Shapes,

    /// The topic under which the document arrived; empty without one. For which profile `applies` and `levels` were found.
    pub(crate) topic: Vec<u8>,
    pub(crate) matched: Option<u64>,
    /// The numbers of the points that accept documents with this topic.
    pub(crate) applies: Vec<u32>,
    /// By number: the range of each named level in the topic.
    pub(crate) levels: Vec<Range<u32>>,

    /// Items that were read separately, from table 1 on.
    pub(crate) tables: Vec<Table>,
    pub(crate) table_values: Vec<Value>,
    pub(crate) table_found: Vec<Found>,
    /// By scope: a buffer for reading an item.
    pub(crate) rooms: Vec<Scan>,

    /// Buffers for reading the other values of a point, and their names; and the tags among them, where those of a point are
    /// adjacent.
    pub(crate) walk: Walk,
    pub(crate) joined: Vec<u8>,
    pub(crate) tags: Vec<FoundTag>,
    /// How many tags belong to the document's device; they come first.
    pub(crate) device_tags: u32,
    /// By number: the range in `joined` of the value of each device tag that a template names; empty without a device.
    pub(crate) device_values: Vec<Range<u32>>,

    /// Usable values; those of a point are adjacent.
    pub(crate) fields: Vec<FieldRef>,
    /// The points, if the profile has any of the long form, or if values would overwrite each other; else every value is a point of its own.
    pub(crate) points: Vec<PointRef>,
    pub(crate) has_points: bool,
    /// Buffers for comparing series.
    pub(crate) counts: HashMap<u64, u32, BuildHasherDefault<AsIs>>,
    pub(crate) name: Vec<u8>,
    pub(crate) uptime_ms: Option<u64>,
    pub(crate) packet_counter: Option<u64>,
    pub(crate) time: Option<Moment>,
    /// Fingerprint of the device whose clock gives the times, if the profile says where the device is named.
    pub(crate) device: Option<u64>,
    pub(crate) age_ms: Option<u64>,
    pub(crate) sequences: Vec<Sequence>,
    pub(crate) names: String,
    pub(crate) value_faults: Vec<ValueFault>,
}

impl Scan {
    /// An empty scan.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forget the results of the last document.
    pub(crate) fn forget_results(&mut self) {
        self.fields.clear();
        self.sequences.clear();
        self.names.clear();
        self.value_faults.clear();
        (self.uptime_ms, self.packet_counter, self.time) = (None, None, None);
        (self.age_ms, self.device) = (None, None);
    }

    /// How many usable points the document has; this is also the number of its lines.
    pub fn points(&self) -> usize {
        if self.has_points {
            self.points.len()
        } else {
            self.fields.len()
        }
    }

    /// The value at an address, for a point of this table.
    pub(crate) fn value(&self, table: u32, address: Address) -> Value {
        match address {
            Address::Document(slot) => self.document_value(table, slot),
            Address::Only(slot) => self.item_value(table, slot),
            Address::Item { item, document } => {
                let value = self.item_value(table, item);
                if value.is_there() {
                    return value;
                }
                self.document_value(table, document)
            }
            Address::Level(_) | Address::Topic | Address::Device(_) | Address::Others => {
                Value::default()
            }
        }
    }

    pub(crate) fn table(&self, number: u32) -> Option<&Table> {
        self.tables.get((number as usize).checked_sub(1)?)
    }

    fn item_value(&self, table: u32, slot: Slot) -> Value {
        self.table(table)
            .and_then(|table| self.table_values.get((table.values + slot) as usize))
            .copied()
            .unwrap_or_default()
    }

    fn document_value(&self, table: u32, slot: Slot) -> Value {
        match self.table(table) {
            Some(known) if known.scope == 0 => self.item_value(table, slot),
            Some(known) => self.document_value(known.document, slot),
            None => self.values.get(slot as usize).copied().unwrap_or_default(),
        }
    }

    /// The node's clock, if the document has it (it wraps: see [`crate::profile::Profile::uptime_bits`]).
    pub fn uptime_ms(&self) -> Option<u64> {
        self.uptime_ms
    }

    /// How many packets the receiver had received.
    pub fn packet_counter(&self) -> Option<u64> {
        self.packet_counter
    }

    /// The document's own time.
    pub fn time(&self) -> Option<Moment> {
        self.time
    }

    /// Move a point by another `later_ms`, as was decided when the document was accepted.
    pub fn move_point(&mut self, point: u32, later_ms: u32) {
        if let Some(point) = self.points.get_mut(point as usize) {
            point.later_ms = point.later_ms.saturating_add(later_ms);
        }
    }

    /// Every time in the document: its own, and those of points that have another.
    pub fn times(&self) -> impl Iterator<Item = Moment> {
        let points = self.points.iter().filter(|_| self.has_points);
        points.filter_map(|point| point.time).chain(self.time)
    }

    /// Fingerprint of the device whose clock gives the times, if the profile says where it is named.
    pub fn device(&self) -> Option<u64> {
        self.device
    }

    /// Whether points may have times that differ from the time of the document.
    pub fn has_points(&self) -> bool {
        self.has_points
    }

    /// The joined name in the place of a wildcard, if there is one.
    pub(crate) fn joined_name(&self, number: usize) -> Option<&[u8]> {
        match self.captures.get(number)? {
            Capture::Joined { start, end } => self.joined.get(*start as usize..*end as usize),
            _ => None,
        }
    }

    /// Append the text that a wildcard matched; its number counts from the first wildcard of the document.
    pub(crate) fn push_capture(&self, document: &[u8], number: usize, out: &mut Vec<u8>) {
        match self.captures.get(number) {
            Some(Capture::Joined { start, end }) => {
                let name = self.joined.get(*start as usize..*end as usize);
                out.extend_from_slice(name.unwrap_or_default());
            }
            Some(capture) => capture.push(document, out),
            None => {}
        }
    }

    /// How long the document's values had waited at their node, if it says so.
    pub fn age_ms(&self) -> Option<u64> {
        self.age_ms
    }

    /// The sequence numbers of the nodes in the document.
    pub fn sequences(&self) -> &[Sequence] {
        &self.sequences
    }

    /// The nodes that sent the document just now, with their numbers. Of a document whose values had waited there are none, because its node may sleep again.
    pub fn heard(&self) -> impl Iterator<Item = (&str, &Sequence)> {
        let sequences = match self.age_ms() {
            Some(_) => &[],
            None => self.sequences(),
        };
        sequences.iter().map(|it| (self.node_name(it), it))
    }

    /// The name of a node of [`Scan::sequences`].
    pub fn node_name(&self, sequence: &Sequence) -> &str {
        self.names
            .get(sequence.node.start as usize..sequence.node.end as usize)
            .unwrap_or_default()
    }

    /// Values that exist but could not be used.
    pub fn value_faults(&self) -> &[ValueFault] {
        &self.value_faults
    }
}
