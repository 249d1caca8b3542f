//! The points of the short form: each usable value is one.

use crate::bounds::MAX_WILDCARD_POINTS;
use crate::conditions;
use crate::faults::{Refused, too_many};
use crate::found::{Context, FieldRef, Value};
use crate::rules::{Address, Rules};
use crate::scan::Scan;
use crate::values::{typed, usable};

/// Add the values of the short form to the fields of a scan, except those that a condition leaves out.
#[inline]
pub(crate) fn short_points(rules: &Rules, document: &[u8], scan: &mut Scan) {
    let Scan {
        shapes,
        values,
        fields,
        value_faults,
        captures,
        ..
    } = scan;
    let asked = shapes.singles().unwrap_or(&rules.single_metrics);
    for &(field, slot, value_type) in asked {
        let Some(&value) = values.get(slot as usize) else {
            continue;
        };
        match usable(value, value_type, document) {
            Ok(true) => fields.push(FieldRef {
                field,
                context: Context::default(),
                value: typed(value, value_type),
            }),
            Ok(false) => {}
            Err(reason) => {
                if is_left_out(rules, document, values, field) {
                    continue;
                }
                let refused = Refused {
                    table: 0,
                    slot,
                    captures: None,
                    value,
                    reason,
                };
                refused.note(rules, document, captures, value_faults);
            }
        }
    }
    if !scan.found.is_empty() {
        wildcard_points(rules, document, scan);
    }
    if rules.has_conditions {
        conditions::leave_out(rules, document, scan);
    }
}

fn wildcard_points(rules: &Rules, document: &[u8], scan: &mut Scan) {
    let found = std::mem::take(&mut scan.found);
    let mut room = MAX_WILDCARD_POINTS;
    'values: for value in &found {
        for &(field, _, value_type) in rules
            .wild_metrics
            .iter()
            .filter(|(_, slot, _)| *slot == value.slot)
        {
            match usable(value.value, value_type, document) {
                Ok(true) if room == 0 => {
                    scan.overflowed = Some(value.value);
                    break 'values;
                }
                Ok(true) => {
                    room -= 1;
                    scan.fields.push(FieldRef {
                        field,
                        context: Context {
                            captures: value.captures,
                            table: 0,
                        },
                        value: typed(value.value, value_type),
                    });
                }
                Ok(false) => {}
                Err(reason) => {
                    if is_left_out(rules, document, &scan.values, field) {
                        continue;
                    }
                    let refused = Refused {
                        table: 0,
                        slot: value.slot,
                        captures: Some(value.captures),
                        value: value.value,
                        reason,
                    };
                    refused.add(rules, document, scan);
                }
            }
        }
    }
    if let Some(value) = scan.overflowed {
        too_many(value, scan);
    }
    scan.found = found;
}

/// Whether a condition leaves out a value, so that its wrong type makes no difference. `values` are those of the document, by slot.
#[cold]
fn is_left_out(rules: &Rules, document: &[u8], values: &[Value], field: u32) -> bool {
    let value = |address| match address {
        Address::Document(slot) => values.get(slot as usize).copied().unwrap_or_default(),
        _ => Value::default(),
    };
    let field = rules.fields.get(field as usize);
    field.is_some_and(|field| conditions::is_left_out(field, document, value))
}
