//! The rule for all other values of a point: which of them are tags, which are fields, and which are left out.

use crate::faults::{place, tell_in, too_many};
use crate::flatten::Named;
use crate::found::{Capture, Context, FieldRef, FoundTag, Value};
use crate::kind::Kind;
use crate::pattern::{Pattern, any_matches};
use crate::render::{is_plain, push_template};
use crate::rules::{Address, FieldName, OthersRule, Rules, ValueType};
use crate::scan::{Scan, ValueFaultReason};
use crate::values::{typed, usable};

/// How a value is used.
enum Use {
    Tag,
    Field(ValueType),
    /// Neither, because no list names a value of its type.
    Unnamed,
    Nothing,
}

impl OthersRule {
    fn of(&self, name: &[u8], kind: Kind) -> Use {
        if any_matches(&self.taken, name) {
            return Use::Nothing;
        }
        if any_matches(&self.tags, name) && !name.is_empty() {
            return Use::Tag;
        }
        let is_chosen = |list: &Option<Vec<Pattern>>| {
            let Some(patterns) = list else { return true };
            any_matches(patterns, name)
        };
        if any_matches(&self.except, name) || !is_chosen(&self.fields) {
            return Use::Nothing;
        }
        match kind {
            Kind::Bool if !is_chosen(&self.booleans) => Use::Unnamed,
            Kind::String | Kind::EscapedString => match &self.strings {
                None => Use::Nothing,
                Some(patterns) if any_matches(patterns, name) => Use::Field(ValueType::String),
                Some(_) => Use::Unnamed,
            },
            Kind::Number | Kind::Scientific if any_matches(&self.integers, name) => {
                Use::Field(ValueType::Integer)
            }
            _ => Use::Field(ValueType::Measured),
        }
    }
}

/// Add the other values of a part of the document to a point: fields, and tags.
pub(crate) fn add(
    rules: &Rules,
    others: &OthersRule,
    table: u32,
    document: &[u8],
    part: Value,
    scan: &mut Scan,
) {
    let found = others.within.and_then(|within| place(within, table, scan));
    let adding = Adding {
        rules,
        others,
        table,
        home: found.map_or(table, |(table, _)| table),
        document,
    };
    let wanted = adding.wanted(scan);
    match part.kind {
        Kind::Missing | Kind::Null => {}
        Kind::Object | Kind::Array => adding.all(part, wanted, scan),
        _ => adding.bare(part, wanted, scan),
    }
    for (address, path) in &others.tag_objects {
        adding.tag_object(*address, path, scan);
    }
}

/// The other values of one point.
struct Adding<'a> {
    rules: &'a Rules,
    others: &'a OthersRule,
    table: u32,
    /// The table of the item, or of the document, in which the values stand.
    home: u32,
    document: &'a [u8],
}

/// A range of the joined names.
type Name = (u32, u32);

impl Adding<'_> {
    /// The name of the value that has a field of its own.
    fn wanted(&self, scan: &mut Scan) -> Option<Name> {
        let (template, field) = self.others.value.as_ref()?;
        let context = Context {
            captures: 0,
            table: self.table,
        };
        let mut text = Vec::new();
        push_template(template, self.document, scan, context, &mut text);
        if text.is_empty() {
            text.extend_from_slice(self.value_name(*field).as_bytes());
        }
        let start = scan.joined.len() as u32;
        scan.joined.extend_from_slice(&text);
        Some((start, scan.joined.len() as u32))
    }

    /// The name of the value's own field.
    fn value_name(&self, field: u32) -> &str {
        match self.rules.fields.get(field as usize).map(|f| &f.name) {
            Some(FieldName::Fixed(name)) => name,
            _ => "",
        }
    }

    /// All values in an object or a list.
    fn all(&self, part: Value, wanted: Option<Name>, scan: &mut Scan) {
        let mut walk = std::mem::take(&mut scan.walk);
        let separator = self.others.separator.as_deref();
        walk.through(self.document, part, separator, &mut scan.joined);
        let chosen = self.chosen(&walk.values, wanted, scan);
        let values = walk.values.iter().enumerate();
        for (at, named) in values.filter(|(_, named)| named.value.kind != Kind::Missing) {
            let Named { start, end, value } = *named;
            let own = (start, end);
            let place = match (chosen, wanted) {
                (Some((chosen, field)), Some(wanted)) if chosen == at => Some((field, wanted)),
                (Some((_, field)), _) if name(scan, own) == self.value_name(field).as_bytes() => {
                    None
                }
                _ => Some((self.others.field, own)),
            };
            self.one(own, value, place, scan);
        }
        if let Some(value) = walk.left_out {
            too_many(value, scan);
        }
        scan.walk = walk;
    }

    /// The value that has the field of its own: the one with the wanted name, or else the one with the name of the field.
    fn chosen(&self, values: &[Named], wanted: Option<Name>, scan: &Scan) -> Option<(usize, u32)> {
        let (_, field) = self.others.value.as_ref()?;
        let find = |wanted: &[u8]| {
            values.iter().position(|named| {
                let own = name(scan, (named.start, named.end));
                own == wanted && self.is_field(own, named.value)
            })
        };
        let found = find(name(scan, wanted?));
        let found = found.or_else(|| find(self.value_name(*field).as_bytes()));
        found.map(|at| (at, *field))
    }

    fn is_field(&self, name: &[u8], value: Value) -> bool {
        let Use::Field(value_type) = self.others.of(name, value.kind) else {
            return false;
        };
        usable(value, value_type, self.document) == Ok(true)
    }

    /// A document, or an item, that is a value without a name.
    fn bare(&self, value: Value, wanted: Option<Name>, scan: &mut Scan) {
        let (Some(wanted), Some((_, field))) = (wanted, &self.others.value) else {
            return;
        };
        let own = self.value_name(*field).as_bytes();
        match self.others.of(own, value.kind) {
            Use::Field(value_type) => match usable(value, value_type, self.document) {
                Ok(true) => self.push(*field, wanted, typed(value, value_type), scan),
                Ok(false) => {}
                Err(reason) => self.fault(wanted, value, reason, scan),
            },
            Use::Unnamed => self.fault(wanted, value, ValueFaultReason::NotNamed, scan),
            Use::Tag | Use::Nothing => {}
        }
    }

    /// A value with a name. `place` is the field that it is, if it is one, and the name of the field; none if another value has this name.
    fn one(&self, (start, end): Name, value: Value, place: Option<(u32, Name)>, scan: &mut Scan) {
        let own = name(scan, (start, end));
        let reason = match self.others.of(own, value.kind) {
            Use::Nothing => return,
            Use::Tag => {
                if value.start < value.end {
                    let is_plain = is_plain(own);
                    scan.tags.push(FoundTag {
                        start,
                        end,
                        value,
                        is_plain,
                        is_of_device: false,
                    });
                }
                return;
            }
            Use::Field(value_type) => match usable(value, value_type, self.document) {
                Ok(true) => match place {
                    Some((field, name)) => {
                        return self.push(field, name, typed(value, value_type), scan);
                    }
                    None => ValueFaultReason::NameTaken,
                },
                Ok(false) => return,
                Err(reason) => reason,
            },
            Use::Unnamed => ValueFaultReason::NotNamed,
        };
        self.fault((start, end), value, reason, scan);
    }

    fn push(&self, field: u32, (start, end): Name, value: Value, scan: &mut Scan) {
        let captures = scan.captures.len() as u32;
        scan.captures.push(Capture::Joined { start, end });
        scan.fields.push(FieldRef {
            field,
            context: Context {
                captures,
                table: self.table,
            },
            value,
        });
    }

    /// The values of an object as tags.
    fn tag_object(&self, address: Address, path: &str, scan: &mut Scan) {
        let object = scan.value(self.table, address);
        if !object.is_there() {
            return;
        }
        if object.kind != Kind::Object {
            let home = place(address, self.table, scan).map_or(0, |(table, _)| table);
            self.tell((home, path), object, ValueFaultReason::NotAnObject, scan);
            return;
        }
        let mut walk = std::mem::take(&mut scan.walk);
        walk.through(self.document, object, None, &mut scan.joined);
        for named in &walk.values {
            let Named { start, end, value } = *named;
            let own = name(scan, (start, end));
            if !value.is_there() || own.is_empty() || value.start == value.end {
                continue;
            }
            let is_plain = is_plain(own);
            scan.tags.push(FoundTag {
                start,
                end,
                value,
                is_plain,
                is_of_device: false,
            });
        }
        if let Some(value) = walk.left_out {
            too_many(value, scan);
        }
        scan.walk = walk;
    }

    #[cold]
    fn fault(&self, own: Name, value: Value, reason: ValueFaultReason, scan: &mut Scan) {
        let own = String::from_utf8_lossy(name(scan, own)).into_owned();
        let path = if self.others.path.is_empty() {
            own
        } else {
            format!("{}.{own}", self.others.path)
        };
        self.tell((self.home, &path), value, reason, scan);
    }

    fn tell(&self, place: (u32, &str), value: Value, reason: ValueFaultReason, scan: &mut Scan) {
        tell_in(self.rules, self.document, place, value, reason, scan);
    }
}

fn name(scan: &Scan, (start, end): Name) -> &[u8] {
    let name = scan.joined.get(start as usize..end as usize);
    name.unwrap_or_default()
}
