//! The sequence numbers of the nodes in a document.

use crate::bounds::MAX_WILDCARD_POINTS;
use crate::clocks::{count, fixed_count};
use crate::found::Context;
use crate::hash::fingerprint;
use crate::render::push_template;
use crate::rules::{Rules, SequenceRule};
use crate::scan::{NodeKey, Scan, Sequence};

/// Add those of all rules.
#[inline]
pub(crate) fn sequences(rules: &Rules, document: &[u8], scan: &mut Scan) {
    for rule in &rules.sequences {
        if rule.wildcards == 0 {
            single_sequence(rules, rule, document, scan);
        } else {
            wildcard_sequences(rules, rule, document, scan);
        }
    }
}

fn single_sequence(rules: &Rules, rule: &SequenceRule, document: &[u8], scan: &mut Scan) {
    let object = match rule.object {
        Some(slot) => scan
            .values
            .get(slot as usize)
            .map(|value| value.text(document))
            .unwrap_or_default(),
        None => document,
    };
    let Some(seq) = fixed_count(rules, document, scan, Some(rule.seq)) else {
        return;
    };
    let boot = fixed_count(rules, document, scan, rule.boot);
    let object_hash = fingerprint(object);
    let node = push_node(rule, document, scan, 0);
    scan.sequences.push(Sequence {
        node,
        boot,
        seq,
        modulus: rule.modulus,
        object_hash,
    });
}

/// A wildcard finds an object after the values inside it; the paths of both begin with the object's
/// path.
fn wildcard_sequences(rules: &Rules, rule: &SequenceRule, document: &[u8], scan: &mut Scan) {
    let found = std::mem::take(&mut scan.found);
    for (index, object) in found
        .iter()
        .enumerate()
        .filter(|(_, object)| Some(object.slot) == rule.object)
    {
        if scan.sequences.len() >= MAX_WILDCARD_POINTS {
            break;
        }
        let (mut seq, mut boot) = (None, None);
        let inside = found.get(..index).unwrap_or_default().iter().rev();
        for value in inside.take_while(|value| value.value.start >= object.value.start) {
            if value.slot == rule.seq {
                seq = count(
                    rules,
                    document,
                    scan,
                    value.slot,
                    Some(value.captures),
                    value.value,
                );
            } else if Some(value.slot) == rule.boot {
                boot = count(
                    rules,
                    document,
                    scan,
                    value.slot,
                    Some(value.captures),
                    value.value,
                );
            }
        }
        if let Some(seq) = seq {
            let object_hash = fingerprint(object.value.text(document));
            let node = push_node(rule, document, scan, object.captures);
            scan.sequences.push(Sequence {
                node,
                boot,
                seq,
                modulus: rule.modulus,
                object_hash,
            });
        }
    }
    scan.found = found;
}

fn push_node(rule: &SequenceRule, document: &[u8], scan: &mut Scan, captures: u32) -> NodeKey {
    let start = scan.names.len() as u32;
    if let Some(name) = rule.node.fixed() {
        scan.names.push_str(name);
    } else {
        let mut name = Vec::new();
        let context = Context { captures, table: 0 };
        push_template(&rule.node, document, scan, context, &mut name);
        scan.names.push_str(&String::from_utf8_lossy(&name));
    }
    NodeKey {
        start,
        end: scan.names.len() as u32,
    }
}
