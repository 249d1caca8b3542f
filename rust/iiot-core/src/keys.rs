//! Keys of points: the series that a point belongs to, and its fields that have values.

use crate::decoded::Decoded;
use crate::found::{FieldRef, PointRef};
use crate::hash::fingerprint;
use crate::moment::Moment;
use crate::rules::FieldName;
use crate::series_hash::series_hash;

/// One point of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PointKey {
    /// Fingerprint of measurement and tags.
    pub series: u64,
    /// One bit for each field, chosen by its name; two fields may share a bit.
    pub fields: u16,
    /// The point's own time, if it differs from the document's.
    pub time: Option<Moment>,
    /// How much later than its time the point is, because earlier points of the document have its series and time.
    pub later_ms: u32,
}

impl Decoded<'_> {
    /// Append a key for each point, in their order.
    pub fn keys(&self, out: &mut Vec<PointKey>) {
        let mut name = Vec::new();
        let mut add = |point: PointRef, fields: &[FieldRef]| {
            let Some(first) = fields.first() else { return };
            let tags = self.scan.tags_of(&point);
            let Some(series) = series_hash(
                self.rules,
                self.document,
                self.scan,
                *first,
                tags,
                &mut name,
            ) else {
                return;
            };
            let bits = fields.iter().map(|field| self.bit(*field, &mut name));
            out.push(PointKey {
                series,
                fields: bits.fold(0, |all, bit| all | bit),
                time: point.time.filter(|_| point.time != self.scan.time),
                later_ms: point.later_ms,
            });
        };
        if self.scan.has_points {
            for point in &self.scan.points {
                add(*point, self.fields_of(*point));
            }
            return;
        }
        for (number, field) in (0..).zip(&self.scan.fields) {
            let point = PointRef {
                first: number,
                end: number + 1,
                time: None,
                later_ms: 0,
                first_tag: 0,
                end_tag: self.scan.device_tags,
            };
            add(point, std::slice::from_ref(field));
        }
    }

    fn bit(&self, field: FieldRef, name: &mut Vec<u8>) -> u16 {
        let hash = match self.rules.fields.get(field.field as usize).map(|f| &f.name) {
            Some(FieldName::Fixed(name)) => fingerprint(name.as_bytes()),
            Some(FieldName::Key) => {
                name.clear();
                let number = field.context.captures as usize;
                self.scan.push_capture(self.document, number, name);
                fingerprint(name)
            }
            None => 0,
        };
        1 << (hash % 16)
    }
}
