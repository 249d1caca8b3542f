//! Counts per node about its radio link since the start, beside the ledger, to show radio quality. Not stored.

use std::collections::HashMap;

/// At most this many nodes per source; further ones are not counted here.
const MAX_NODES: usize = 4096;

/// Receptions of one node since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkCounts {
    /// Receptions in accepted frames.
    pub accepted: u64,
    /// Receptions in duplicates.
    pub duplicate: u64,
    /// Sequence numbers that never came; falls when a late one arrives.
    pub lost_on_air: i64,
}

impl LinkCounts {
    fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.duplicate += other.duplicate;
        self.lost_on_air += other.lost_on_air;
    }
}

/// By source and by the fingerprint of the node's name.
#[derive(Debug, Default)]
pub(crate) struct Links(HashMap<String, HashMap<u64, LinkCounts>>);

impl Links {
    pub(crate) fn add(&mut self, source: &str, node: u64, counts: LinkCounts) {
        if !self.0.contains_key(source) {
            self.0.insert(source.to_owned(), HashMap::new());
        }
        if let Some(nodes) = self.0.get_mut(source)
            && (nodes.len() < MAX_NODES || nodes.contains_key(&node))
        {
            nodes.entry(node).or_default().add(counts);
        }
    }

    pub(crate) fn get(&self, source: &str, node: u64) -> Option<LinkCounts> {
        self.0.get(source)?.get(&node).copied()
    }

    /// Move everything into another.
    pub(crate) fn drain_into(&mut self, other: &mut Self) {
        for (source, nodes) in self.0.drain() {
            for (node, counts) in nodes {
                other.add(&source, node, counts);
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
