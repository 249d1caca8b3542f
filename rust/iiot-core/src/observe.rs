//! Follows a document through the tree of wanted paths and notes where the wanted values are.
//!
//! If a key occurs more than once, the last one counts, with everything below it, as in `serde_json`. All values of the earlier
//! key are forgotten.

use crate::bounds::MAX_WILDCARD_VALUES;
use crate::found::{Capture, Found, Value};
use crate::hash::fingerprint;
use crate::json::{MAX_DEPTH, NOWHERE, Observer, Place};
use crate::json_text::unescape;
use crate::kind::Kind;
use crate::scan::Scan;
use crate::trie::{Spot, Trie};

/// Space for this many keys is kept from document to document.
const KEPT_KEYS: usize = 1024;

/// Spreads small numbers over 64 bits.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

pub(crate) struct Noting<'a> {
    trie: &'a Trie,
    scan: &'a mut Scan,
}

impl<'a> Noting<'a> {
    /// Begin a document; `profile` says for which tree the tables of `scan` are laid out.
    #[inline]
    pub(crate) fn begin(trie: &'a Trie, profile: u64, scan: &'a mut Scan) -> Self {
        if scan.profile != Some(profile) || scan.document == u32::MAX {
            scan.profile = Some(profile);
            scan.document = 0;
            scan.shapes.forget();
            scan.seen.clear();
            scan.seen.resize(trie.spots.len(), 0);
            scan.values.resize(trie.wanted.len(), Value::default());
            let depths = if trie.has_wildcards { MAX_DEPTH } else { 0 };
            scan.trail.resize(depths, Capture::Item(0));
            scan.found_before.resize(depths, 0);
            scan.opened.resize(depths, 0);
        }
        scan.document += 1;
        scan.values.fill(Value::default());
        scan.found.clear();
        scan.captures.clear();
        scan.overflowed = None;
        scan.forgot = false;
        scan.keys.clear();
        scan.keys.shrink_to(KEPT_KEYS);
        Self { trie, scan }
    }

    fn note(&mut self, spot: &Spot, place: Place, value: Value) {
        for &slot in &spot.fixed {
            if let Some(held) = self.scan.values.get_mut(slot as usize) {
                *held = value;
            }
        }
        for &slot in &spot.wild {
            if self.scan.found.len() >= MAX_WILDCARD_VALUES {
                self.scan.overflowed.get_or_insert(value);
                return;
            }
            let captures = self.scan.captures.len() as u32;
            let Some(wanted) = self.trie.wanted.get(slot as usize) else {
                continue;
            };
            for &depth in &wanted.wildcards {
                self.scan.captures.push(
                    self.scan
                        .trail
                        .get(depth)
                        .copied()
                        .unwrap_or(Capture::Item(0)),
                );
            }
            self.scan.found.push(Found {
                slot,
                place,
                value,
                captures,
            });
        }
    }

    /// A key came a second time: forget the values of the first one.
    #[cold]
    fn forget_single(&mut self, spot: &Spot, place: Place) {
        self.scan.forgot = true;
        for &slot in &spot.fixed_below {
            if let Some(held) = self.scan.values.get_mut(slot as usize) {
                *held = Value::default();
            }
        }
        self.scan
            .found
            .retain(|found| !(place..spot.end).contains(&found.place));
    }

    /// Whether the object that is being read at `depth` may have had this key before. With a probability of 1 in 2^64 the answer
    /// is wrong.
    fn came_before(&mut self, place: Place, depth: usize, name: &[u8]) -> bool {
        let object = self.scan.opened.get(depth).copied().unwrap_or(0);
        let key =
            fingerprint(name) ^ (u64::from(object) << 32 | u64::from(place)).wrapping_mul(SPREAD);
        !self.scan.keys.insert(key)
    }

    /// Forget the values of an earlier key with the same name in the object that is being read at `depth`.
    fn forget_same_key(
        &mut self,
        bytes: &[u8],
        spot: &Spot,
        place: Place,
        depth: usize,
        by_wildcard: bool,
    ) {
        let before = self.scan.found_before.get(depth).copied().unwrap_or(0) as usize;
        if self.scan.found.len() <= before {
            return;
        }
        let count = self.scan.found.len();
        let Some(&key) = self.scan.trail.get(depth) else {
            return;
        };
        let (trie, captures) = (self.trie, &self.scan.captures);
        let mut index = 0;
        self.scan.found.retain(|found| {
            index += 1;
            if index <= before || !(place..spot.end).contains(&found.place) {
                return true;
            }
            if !by_wildcard {
                return false;
            }
            let Some(wanted) = trie.wanted.get(found.slot as usize) else {
                return true;
            };
            let Some(number) = wanted.wildcards.iter().position(|at| *at == depth) else {
                return true;
            };
            let Some(held) = captures.get(found.captures as usize + number) else {
                return true;
            };
            !same_key(bytes, *held, key)
        });
        self.scan.forgot |= self.scan.found.len() < count;
    }
}

impl Observer for Noting<'_> {
    #[inline]
    fn key(
        &mut self,
        bytes: &[u8],
        parent: Place,
        depth: usize,
        start: usize,
        end: usize,
        escaped: bool,
    ) -> Place {
        if parent == NOWHERE {
            return NOWHERE;
        }
        let trie = self.trie;
        let Some(spot) = trie.spot(parent) else {
            return NOWHERE;
        };
        let raw = bytes.get(start..end).unwrap_or_default();
        let unescaped;
        let name = if escaped {
            let mut text = Vec::new();
            unescape(raw, &mut text);
            unescaped = text;
            unescaped.as_slice()
        } else {
            raw
        };
        let (place, by_wildcard) = spot.below_key(name);
        let Some(below) = trie.spot(place) else {
            return NOWHERE;
        };
        if let Some(step) = self.scan.trail.get_mut(depth) {
            *step = Capture::Key {
                start: start as u32,
                end: end as u32,
                escaped,
            };
        }
        if below.is_single {
            if let Some(seen) = self.scan.seen.get_mut(place as usize) {
                let again = *seen == self.scan.document;
                *seen = self.scan.document;
                if again {
                    self.forget_single(below, place);
                }
            }
        } else if self.came_before(place, depth, name) {
            self.forget_same_key(bytes, below, place, depth, by_wildcard);
        }
        place
    }

    #[inline]
    fn item(&mut self, parent: Place, depth: usize, index: usize) -> Place {
        if parent == NOWHERE {
            return NOWHERE;
        }
        if let Some(step) = self.scan.trail.get_mut(depth) {
            *step = Capture::Item(index as u32);
        }
        self.trie
            .spot(parent)
            .map_or(NOWHERE, |spot| spot.below_item(index))
    }

    #[inline]
    fn scalar(&mut self, place: Place, kind: Kind, start: usize, end: usize) {
        let trie = self.trie;
        if let Some(spot) = trie.spot(place) {
            self.note(
                spot,
                place,
                Value {
                    kind,
                    start: start as u32,
                    end: end as u32,
                },
            );
        }
    }

    #[inline]
    fn open(&mut self, place: Place, depth: usize, _: Kind, start: usize) {
        if place != NOWHERE
            && let Some(before) = self.scan.found_before.get_mut(depth)
            && let Some(opened) = self.scan.opened.get_mut(depth)
        {
            *before = self.scan.found.len() as u32;
            *opened = start as u32;
        }
    }

    #[inline]
    fn close(&mut self, place: Place, kind: Kind, start: usize, end: usize) {
        // The path of the whole document wants a bare value.
        if place != 0 {
            self.scalar(place, kind, start, end);
        }
    }
}

fn same_key(bytes: &[u8], left: Capture, right: Capture) -> bool {
    match (left, right) {
        (
            Capture::Key {
                escaped: false,
                start,
                end,
            },
            Capture::Key {
                escaped: false,
                start: from,
                end: to,
            },
        ) => bytes.get(start as usize..end as usize) == bytes.get(from as usize..to as usize),
        (Capture::Key { .. }, Capture::Key { .. }) => {
            let (mut one, mut other) = (Vec::new(), Vec::new());
            left.push(bytes, &mut one);
            right.push(bytes, &mut other);
            one == other
        }
        _ => left == right,
    }
}
