//! The paths of a profile compiled into one tree, so that a document is followed through all of them at once.
//!
//! Wildcards are resolved while the tree is built: the place behind a named key also holds everything that a wildcard beside this key leads to.
//! So there is only one current place at a time. Places are numbered so that all places below a place lie in `place..end`.

use crate::json::{NOWHERE, Place};
use crate::path::{Path, PathStep};

/// The most places of a profile; wildcards beside names multiply places.
const MAX_PLACES: usize = 65_536;

/// Names a value that the profile wants.
pub(crate) type Slot = u32;

/// A value that the profile wants.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) path: Path,
    /// The depths of its wildcards.
    pub(crate) wildcards: Vec<usize>,
}

/// A place in the tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spot {
    keys: Vec<(Box<[u8]>, Place)>,
    items: Vec<(usize, Place)>,
    any_key: Option<Place>,
    any_item: Option<Place>,
    /// The slots whose paths end here, without and with wildcards.
    pub(crate) fixed: Vec<Slot>,
    pub(crate) wild: Vec<Slot>,
    /// All slots whose paths end here or below and have no wildcard.
    pub(crate) fixed_below: Vec<Slot>,
    /// There is no wildcard on the path: a document has this place at most once.
    pub(crate) is_single: bool,
    /// The first place that is not below this one.
    pub(crate) end: Place,
}

/// The tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trie {
    pub(crate) spots: Vec<Spot>,
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) has_wildcards: bool,
}

impl Trie {
    pub(crate) const EMPTY: Self = Self {
        spots: Vec::new(),
        wanted: Vec::new(),
        has_wildcards: false,
    };

    /// All paths.
    pub(crate) fn paths(&self) -> Vec<Path> {
        self.wanted
            .iter()
            .map(|wanted| wanted.path.clone())
            .collect()
    }

    /// The slot of a path, which is added if it is new. Call before `build`.
    pub(crate) fn want(&mut self, path: &Path) -> Slot {
        if let Some(known) = self
            .wanted
            .iter()
            .position(|wanted| wanted.path.steps == path.steps)
        {
            return known as Slot;
        }
        let steps = path.steps.iter().enumerate();
        let wildcards: Vec<usize> = steps
            .filter(|(_, step)| **step == PathStep::Any)
            .map(|(depth, _)| depth)
            .collect();
        self.has_wildcards |= !wildcards.is_empty();
        self.wanted.push(Wanted {
            path: path.clone(),
            wildcards,
        });
        (self.wanted.len() - 1) as Slot
    }

    /// Build the tree from everything wanted; `false` if it would be too large.
    pub(crate) fn build(&mut self) -> bool {
        self.spots.clear();
        let all: Vec<Slot> = (0..self.wanted.len() as Slot).collect();
        self.grow(&all, 0, true).is_some()
    }

    /// Add the place at `depth` where `slots` are still possible, and all below it.
    fn grow(&mut self, slots: &[Slot], depth: usize, is_single: bool) -> Option<Place> {
        let place = self.spots.len();
        if place >= MAX_PLACES {
            return None;
        }
        self.spots.push(Spot {
            is_single,
            ..Spot::default()
        });
        let mut spot = Spot {
            is_single,
            ..Spot::default()
        };
        let mut any = Vec::new();
        let mut keys: Vec<(String, Vec<Slot>)> = Vec::new();
        let mut items: Vec<(usize, Vec<Slot>)> = Vec::new();
        for &slot in slots {
            let Some(wanted) = self.wanted.get(slot as usize) else {
                continue;
            };
            match wanted.path.steps.get(depth) {
                None if wanted.wildcards.is_empty() => spot.fixed.push(slot),
                None => spot.wild.push(slot),
                Some(PathStep::Any) => any.push(slot),
                Some(PathStep::Key(key)) => collect(&mut keys, key.clone(), slot),
                Some(PathStep::Item(index)) => collect(&mut items, *index, slot),
            }
        }
        for (key, mut below) in keys {
            below.extend_from_slice(&any);
            spot.keys.push((
                key.into_bytes().into_boxed_slice(),
                self.grow(&below, depth + 1, is_single)?,
            ));
        }
        for (index, mut below) in items {
            below.extend_from_slice(&any);
            spot.items
                .push((index, self.grow(&below, depth + 1, is_single)?));
        }
        if !any.is_empty() {
            spot.any_key = Some(self.grow(&any, depth + 1, false)?);
            spot.any_item = Some(self.grow(&any, depth + 1, false)?);
        }
        spot.end = self.spots.len() as Place;
        spot.fixed_below.clone_from(&spot.fixed);
        for below in self.spots.get(place + 1..).unwrap_or_default() {
            spot.fixed_below.extend_from_slice(&below.fixed);
        }
        *self.spots.get_mut(place)? = spot;
        Some(place as Place)
    }

    pub(crate) fn spot(&self, place: Place) -> Option<&Spot> {
        self.spots.get(place as usize)
    }
}

impl Spot {
    /// The place of the value of `key`, and whether the key was matched by a wildcard.
    #[inline]
    pub(crate) fn below_key(&self, key: &[u8]) -> (Place, bool) {
        for (name, place) in &self.keys {
            if **name == *key {
                return (*place, false);
            }
        }
        (self.any_key.unwrap_or(NOWHERE), true)
    }

    /// The place of the item `index`.
    #[inline]
    pub(crate) fn below_item(&self, index: usize) -> Place {
        let named = self
            .items
            .iter()
            .find(|(wanted, _)| *wanted == index)
            .map(|(_, place)| *place);
        named.or(self.any_item).unwrap_or(NOWHERE)
    }
}

fn collect<K: PartialEq>(groups: &mut Vec<(K, Vec<Slot>)>, key: K, slot: Slot) {
    match groups.iter_mut().find(|(known, _)| *known == key) {
        Some((_, slots)) => slots.push(slot),
        None => groups.push((key, vec![slot])),
    }
}
