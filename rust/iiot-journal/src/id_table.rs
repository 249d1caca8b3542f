//! A hash table for millions of message ids: 20 bytes per place, at least two thirds of the places in use once it has grown, and growth by a quarter.
//!
//! Its keys are already hashes. Places are searched one after the other. Entries are removed only in a pass over all of them, so that no place has to be marked
//! as deleted.

/// The least number of places.
const LEAST: usize = 64;

/// The remembered data of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    /// Hash of its content.
    pub content: u64,
    /// Seconds since 1970, at least 1.
    pub received_s: u32,
}

/// Words of 32 bits, because with 64 bits each place would need another 32 bits of padding. Empty if `received_s` is 0.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    name: [u32; 2],
    content: [u32; 2],
    received_s: u32,
}

fn halves(word: u64) -> [u32; 2] {
    [word as u32, (word >> 32) as u32]
}

fn whole([low, high]: [u32; 2]) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

impl Place {
    fn known(&self) -> Known {
        Known {
            content: whole(self.content),
            received_s: self.received_s,
        }
    }
}

/// Names and what is known of them.
#[derive(Debug, Default)]
pub(crate) struct IdTable {
    places: Vec<Place>,
    len: usize,
}

impl IdTable {
    /// How many names.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The place of a name, or the empty place for it.
    fn find(&self, name: u64) -> Option<usize> {
        let count = self.places.len();
        let mut at = ((u128::from(name) * count as u128) >> 64) as usize;
        for _ in 0..count {
            let place = self.places.get(at)?;
            if place.received_s == 0 || place.name == halves(name) {
                return Some(at);
            }
            at = if at + 1 == count { 0 } else { at + 1 };
        }
        None
    }

    /// What is known of a name.
    pub(crate) fn get(&self, name: u64) -> Option<Known> {
        let place = self.places.get(self.find(name)?)?;
        (place.received_s > 0).then(|| place.known())
    }

    /// Add a name, or replace what is known of it.
    pub(crate) fn insert(&mut self, name: u64, known: Known) {
        // At most 17 of 20 places are in use.
        if (self.len + 1) * 20 > self.places.len() * 17 {
            self.rebuild(self.places.len() / 4 * 5, |_| true);
        }
        let place = self.find(name).and_then(|at| self.places.get_mut(at));
        if let Some(place) = place {
            self.len += usize::from(place.received_s == 0);
            *place = Place {
                name: halves(name),
                content: halves(known.content),
                received_s: known.received_s.max(1),
            };
        }
    }

    /// Forget every name for which `is_kept` is false.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(&Known) -> bool) {
        let places = self.places.iter().filter(|place| place.received_s > 0);
        let kept = places.filter(|place| is_kept(&place.known())).count();
        if kept < self.len {
            self.rebuild(kept / 2 * 3, is_kept);
        }
    }

    fn rebuild(&mut self, count: usize, is_kept: impl Fn(&Known) -> bool) {
        let places = vec![Place::default(); count.max(LEAST)];
        let before = std::mem::replace(&mut self.places, places);
        self.len = 0;
        for place in before.iter().filter(|place| place.received_s > 0) {
            if is_kept(&place.known())
                && let Some(at) = self.find(whole(place.name))
                && let Some(to) = self.places.get_mut(at)
            {
                *to = *place;
                self.len += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{IdTable, Known};
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn a_name_takes_little_room() {
        let mut table = IdTable::default();
        for number in 0..200_000u64 {
            let known = Known {
                content: number,
                received_s: 5,
            };
            table.insert(number.wrapping_mul(0x9e37_79b9_7f4a_7c15), known);
            let bytes = table.places.len() * size_of::<super::Place>();
            assert!(number < 1000 || bytes <= 30 * table.len(), "{number}");
        }
        assert_eq!(size_of::<super::Place>(), 20);
    }

    proptest! {
        /// It knows what a map of the library knows, whatever comes and goes.
        #[test]
        fn it_does_what_a_map_does(steps in proptest::collection::vec((any::<u8>(), any::<bool>(), any::<u64>(), 0u32..50), 1..800)) {
            let (mut table, mut map) = (IdTable::default(), HashMap::new());
            for (name, is_far, content, received_s) in steps {
                // Names that stand close together, and some at the end of the table.
                let name = if is_far { u64::MAX - u64::from(name) } else { u64::from(name) << 56 };
                if content % 50 == 0 {
                    let floor_s = received_s;
                    table.retain(|known| known.received_s >= floor_s);
                    map.retain(|_, known: &mut Known| known.received_s >= floor_s);
                } else {
                    let known = Known { content, received_s: received_s.max(1) };
                    table.insert(name, known);
                    map.insert(name, known);
                }
                prop_assert_eq!(table.len(), map.len());
            }
            for name in (0..=255u64).flat_map(|name| [u64::MAX - name, name << 56]) {
                prop_assert_eq!(table.get(name), map.get(&name).copied());
            }
        }
    }
}
