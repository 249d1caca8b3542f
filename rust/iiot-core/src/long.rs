//! The points of the long form: several fields, for each document or for each item of it.

use crate::bounds::{MAX_WILDCARD_POINTS, MAX_WILDCARD_VALUES};
use crate::clocks::{self, document_time, fixed_count, time};
use crate::conditions::is_left_out;
use crate::device;
use crate::faults::{Refused, place, too_many};
use crate::found::{Context, FieldRef, Found, ItemPlace, PointRef, Table, Value};
use crate::keep_apart::keep_apart;
use crate::kind::Kind;
use crate::moment::Moment;
use crate::others;
use crate::others_names;
use crate::reading;
use crate::rules::{Address, Field, FieldName, PointRule, Rules};
use crate::scan::{Scan, ValueFault};
use crate::sequences::sequences;
use crate::short::short_points;
use crate::values::{self, typed, usable};

/// Add the points of a document that is an object or a bare value.
pub(crate) fn points(rules: &Rules, hash: u64, document: &[u8], scan: &mut Scan) {
    scan.has_points = true;
    let applies = std::mem::take(&mut scan.applies);
    let part = Part {
        rules,
        hash,
        document,
        table: 0,
        time: None,
    };
    part.points(&applies, 0, scan);
    scan.applies = applies;
    scan.time = scan.time.or_else(|| only_time(scan));
    keep_apart(rules, document, scan);
}

/// The time of a document that is one point.
fn only_time(scan: &Scan) -> Option<Moment> {
    match scan.points.as_slice() {
        [only] => only.time,
        _ => None,
    }
}

/// Add the points of a document that is an array: each item is handled like a document.
pub(crate) fn array(rules: &Rules, hash: u64, document: &[u8], array: Value, scan: &mut Scan) {
    scan.forget_results();
    scan.points.clear();
    scan.has_points = true;
    let applies = std::mem::take(&mut scan.applies);
    for (number, item) in reading::items(document, array).into_iter().enumerate() {
        if number == MAX_WILDCARD_POINTS {
            too_many(item, scan);
            break;
        }
        let first = scan.fields.len();
        let faults = scan.value_faults.len();
        let (table, time) = item_of_array(rules, hash, document, item, scan);
        let part = Part {
            rules,
            hash,
            document,
            table,
            time,
        };
        let has_room = part.points(&applies, first, scan);
        for fault in scan.value_faults.iter_mut().skip(faults) {
            fault.path = match fault.path.as_str() {
                "." => format!("[{number}]"),
                path if path.starts_with('[') => format!("[{number}]{path}"),
                path => format!("[{number}].{path}"),
            };
        }
        if !has_room {
            break;
        }
    }
    scan.applies = applies;
    scan.time = only_time(scan);
    keep_apart(rules, document, scan);
}

/// Read an item of an array as a document, with its short points, clocks and sequences. Returns its table and its time.
fn item_of_array(
    rules: &Rules,
    hash: u64,
    document: &[u8],
    item: Value,
    scan: &mut Scan,
) -> (u32, Option<Moment>) {
    let mut room = reading::take_room(rules, 0, scan);
    reading::into_room(rules, hash, document, item, 0, &mut room);
    reading::rebase(&mut room, item.start);
    room.forget_results();
    short_points(rules, document, &mut room);
    let uptime = fixed_count(rules, document, &mut room, rules.uptime);
    scan.uptime_ms = scan.uptime_ms.or(uptime);
    let counter = fixed_count(rules, document, &mut room, rules.packet_counter);
    scan.packet_counter = scan.packet_counter.or(counter);
    let age = fixed_count(rules, document, &mut room, rules.age);
    scan.age_ms = scan.age_ms.or(age);
    scan.device = scan
        .device
        .or_else(|| clocks::device(rules, document, &room));
    let time = document_time(rules, document, &mut room);
    sequences(rules, document, &mut room);

    let captures = scan.captures.len() as u32;
    let names = scan.names.len() as u32;
    let table = reading::keep(&room, 0, (item, ItemPlace::Only), 0, scan);
    scan.fields.extend(room.fields.iter().map(|field| FieldRef {
        context: Context {
            captures: field.context.captures + captures,
            table,
        },
        ..*field
    }));
    scan.names.push_str(&room.names);
    for sequence in &room.sequences {
        let mut sequence = *sequence;
        sequence.node.start += names;
        sequence.node.end += names;
        scan.sequences.push(sequence);
    }
    scan.value_faults.append(&mut room.value_faults);
    reading::put_room(0, room, scan);
    (table, time)
}

/// A document, or an item of one that is an array.
struct Part<'a> {
    rules: &'a Rules,
    hash: u64,
    document: &'a [u8],
    table: u32,
    /// Its time, if it has one for all of its points.
    time: Option<Moment>,
}

impl Part<'_> {
    /// Make points from the fields of short points, beginning with field `first`, and add the points of the long form. `false`: there
    /// are more points than may be kept.
    fn points(&self, applies: &[u32], first: usize, scan: &mut Scan) -> bool {
        for number in first as u32..scan.fields.len() as u32 {
            scan.points.push(PointRef {
                first: number,
                end: number + 1,
                time: self.time,
                later_ms: 0,
                first_tag: 0,
                end_tag: scan.device_tags,
            });
        }
        let rules = applies
            .iter()
            .filter_map(|number| self.rules.points.get(*number as usize));
        for rule in rules {
            if rule.scope == 0 {
                if !self.point(rule, self.table, scan) {
                    return false;
                }
                continue;
            }
            for table in self.items(rule.scope, scan) {
                if !self.point(rule, table, scan) {
                    return false;
                }
            }
        }
        true
    }

    /// The items of a scope.
    fn found_items(&self, scope: usize, scan: &Scan) -> Vec<(Value, ItemPlace)> {
        let each = self.rules.scopes.get(scope).and_then(|scope| scope.each);
        let Some(each) = each else {
            return Vec::new();
        };
        let wanted = self.rules.trie().wanted.get(each as usize);
        if wanted.is_some_and(|wanted| !wanted.wildcards.is_empty()) {
            let found = found(self.table, scan).iter();
            return found
                .filter(|found| found.slot == each)
                .map(|found| (found.value, ItemPlace::Matched(found.captures)))
                .collect();
        }
        let value = scan.value(self.table, Address::Document(each));
        match value.kind {
            Kind::Missing | Kind::Null => Vec::new(),
            Kind::Array => {
                let items = (0..).zip(reading::items(self.document, value));
                let places = items.map(|(number, item)| (item, ItemPlace::InList(number)));
                places.collect()
            }
            _ => vec![(value, ItemPlace::Only)],
        }
    }

    /// The tables of the items of a scope. The first call reads the items.
    fn items(&self, scope: usize, scan: &mut Scan) -> Vec<u32> {
        let found = self.found_items(scope, scan);
        let known = (1..)
            .zip(&scan.tables)
            .find(|(_, table)| table.scope as usize == scope && table.document == self.table)
            .map(|(number, _)| number);
        let mut tables = Vec::new();
        for (count, (item, place)) in found.into_iter().enumerate() {
            if let Some(first) = known {
                let number = first + count as u32;
                let is_read =
                    |table: &Table| table.scope as usize == scope && table.document == self.table;
                if !scan.table(number).is_some_and(is_read) {
                    // There was no room for this one and those behind it.
                    break;
                }
                tables.push(number);
                continue;
            }
            if scan.tables.len() >= MAX_WILDCARD_POINTS {
                too_many(item, scan);
                break;
            }
            let mut room = reading::take_room(self.rules, scope, scan);
            reading::into_room(self.rules, self.hash, self.document, item, scope, &mut room);
            reading::rebase(&mut room, item.start);
            let table = reading::keep(&room, scope, (item, place), self.table, scan);
            reading::put_room(scope, room, scan);
            tables.push(table);
        }
        tables
    }

    /// Add one point, if it has a usable value. `false`: there is no room for it.
    fn point(&self, rule: &PointRule, table: u32, scan: &mut Scan) -> bool {
        let (first, first_tag) = (scan.fields.len(), scan.tags.len());
        let numbers = rule.fields.clone();
        for (number, field) in numbers.filter_map(|n| Some((n, self.rules.fields.get(n as usize)?)))
        {
            if field.name == FieldName::Key {
                match rule.others.iter().find(|others| others.field == number) {
                    None => self.others(rule, number, table, scan),
                    Some(others) => {
                        let part = match others.within {
                            Some(address) => scan.value(table, address),
                            None => self.part(table, scan),
                        };
                        let bare = others.bare.map(|address| scan.value(table, address));
                        let part = bare.filter(Value::is_there).unwrap_or(part);
                        others::add(self.rules, others, table, self.document, part, scan);
                    }
                }
                continue;
            }
            if is_left_out(field, self.document, |address| scan.value(table, address)) {
                continue;
            }
            if let Address::Level(level) = field.address {
                self.level_field(field, number, (level, table), scan);
                continue;
            }
            let value = scan.value(table, field.address);
            self.field(number, Context { captures: 0, table }, value, scan);
        }
        if rule.others.len() > 1 {
            others_names::drop_equal_names(self.rules, self.document, first, scan);
        }
        if scan.fields.len() > MAX_WILDCARD_VALUES {
            if let Some(left_out) = scan.fields.get(first).map(|field| field.value) {
                too_many(left_out, scan);
            }
            scan.fields.truncate(first);
            scan.tags.truncate(first_tag);
            return false;
        }
        if scan.fields.len() == first {
            scan.tags.truncate(first_tag);
            return true;
        }
        let own = rule.time.as_ref().and_then(|(addresses, format)| {
            let mut values = addresses.iter().map(|a| (*a, scan.value(table, *a)));
            let (address, value) = values.find(|(_, value)| value.is_there())?;
            let place = place(address, table, scan)?;
            time(self.rules, self.document, scan, place, value, format)
        });
        others_names::sort_tags(&rule.others, first_tag, scan);
        let (first_tag, end_tag) = device::merge(first_tag, scan);
        scan.points.push(PointRef {
            first: first as u32,
            end: scan.fields.len() as u32,
            time: own.or(self.time),
            later_ms: 0,
            first_tag,
            end_tag,
        });
        true
    }

    /// The part of the document from which a table was read.
    fn part(&self, table: u32, scan: &Scan) -> Value {
        scan.table(table).map_or(
            Value {
                kind: Kind::Object,
                start: 0,
                end: self.document.len() as u32,
            },
            |table| table.value,
        )
    }

    /// Add all other numbers and booleans.
    fn others(&self, rule: &PointRule, number: u32, table: u32, scan: &mut Scan) {
        let Some(field) = self.rules.fields.get(number as usize) else {
            return;
        };
        let (Address::Document(slot) | Address::Only(slot)) = field.address else {
            return;
        };
        let found: Vec<Found> = found(table, scan)
            .iter()
            .filter(|found| found.slot == slot)
            .copied()
            .collect();
        let mut key = Vec::new();
        for value in found {
            key.clear();
            scan.push_capture(self.document, value.captures as usize, &mut key);
            if rule.except.iter().any(|known| known.as_bytes() == key) {
                continue;
            }
            let context = Context {
                captures: value.captures,
                table,
            };
            self.field(number, context, value.value, scan);
        }
    }

    fn field(&self, number: u32, context: Context, value: Value, scan: &mut Scan) {
        let Some(field) = self.rules.fields.get(number as usize) else {
            return;
        };
        match usable(value, field.value_type, self.document) {
            Ok(true) => scan.fields.push(FieldRef {
                field: number,
                context,
                value: typed(value, field.value_type),
            }),
            Ok(false) => {}
            Err(reason) => {
                let Some((table, slot)) = place(field.address, context.table, scan) else {
                    return;
                };
                let has_wildcard = field.name == FieldName::Key;
                let refused = Refused {
                    table,
                    slot,
                    captures: has_wildcard.then_some(context.captures),
                    value,
                    reason,
                };
                refused.add(self.rules, self.document, scan);
            }
        }
    }

    /// Add a field that is a level of the topic.
    fn level_field(&self, field: &Field, number: u32, (level, table): (u32, u32), scan: &mut Scan) {
        let place = scan.levels.get(level as usize).cloned().unwrap_or(0..0);
        match values::level(place, &scan.topic, field.value_type) {
            Ok(Some(value)) => scan.fields.push(FieldRef {
                field: number,
                context: Context { captures: 0, table },
                value,
            }),
            Ok(None) => {}
            Err(reason) => {
                if let Some(name) = self.rules.level_names.get(level as usize)
                    && scan.value_faults.len() < MAX_WILDCARD_POINTS
                {
                    scan.value_faults.push(ValueFault {
                        path: format!("{{{name}}} of the topic"),
                        reason,
                        start: 0,
                        end: 0,
                    });
                }
            }
        }
    }
}

/// What wildcards found in a table.
fn found(table: u32, scan: &Scan) -> &[Found] {
    match scan.table(table) {
        None => &scan.found,
        Some(table) => scan
            .table_found
            .get(table.found as usize..table.found_end as usize)
            .unwrap_or_default(),
    }
}
