//! Cuts a recording into pieces by the node's own clock, so that a replay can keep its pace.

use crate::channel::ChannelFramer;
use crate::clock::NodeClock;
use crate::framed::Framed;
use crate::profile::Profile;
use crate::scan::Scan;
use std::sync::Arc;

/// Finds where documents end in a recording, and when the node sent them.
pub struct Pacer {
    profile: Arc<Profile>,
    framer: ChannelFramer,
    scan: Scan,
    clock: NodeClock,
    pushed: u64,
}

impl Pacer {
    /// Begin a recording of which `framer` chooses the RTT channel.
    pub fn new(profile: Arc<Profile>, framer: ChannelFramer) -> Self {
        Self {
            profile,
            framer,
            scan: Scan::new(),
            clock: NodeClock::default(),
            pushed: 0,
        }
    }

    /// See [`ChannelFramer::skip`].
    pub fn skip(&mut self, chunk: &[u8]) {
        self.framer.skip(chunk);
    }

    /// Read a chunk. Returns for each document with an uptime that ends in it: the offset of its end in the chunk, and the milliseconds since the first
    /// document, through wraps and restarts of the node.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<(u64, i64)> {
        let Self {
            profile,
            framer,
            scan,
            clock,
            pushed,
        } = self;
        let mut pieces = Vec::new();
        framer.feed_with(chunk, profile, scan, |framed, found, _| {
            if let (Framed::Document { end, .. }, Some(uptime)) = (framed, found.uptime_ms()) {
                let ms = clock.advance(uptime, found.packet_counter(), profile.uptime_bits());
                pieces.push((end.saturating_sub(*pushed), ms));
            }
        });
        *pushed += chunk.len() as u64;
        pieces
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;

    /// The clock goes on through a wrap, and an end is counted from the beginning of its chunk, wherever the document began.
    #[test]
    fn documents_are_found_by_their_ends_and_the_nodes_clock() {
        let profile = "name = \"p\"\n[clock]\nuptime_ms = \"ts\"\nuptime_bits = 8\n[[metric]]\npath = \"t\"\nmeasurement = \"t\"\n";
        let profile = Arc::new(Profile::parse(profile).unwrap());
        let mut pacer = Pacer::new(profile, ChannelFramer::new(1_000, None));

        let first = b"{\"ts\":250,\"t\":1}\nno document\n{\"t\":2}\n{\"ts\":4,";
        assert_eq!(pacer.push(first), [(16, 0)]);
        assert_eq!(pacer.push(b"\"t\":3}\n"), [(6, 10)]);
    }
}
