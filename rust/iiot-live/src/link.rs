//! Every node's link: its last radio signal, and the results of its packets.
//!
//! A frame with the sequence number of exactly one node describes one packet of that node. So the signal in the frame belongs to this packet.

use crate::samples::Samples;
use std::collections::HashMap;

/// At most this many links are shown.
const MAX_LINKS: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Link {
    pub source: String,
    pub node: String,
    /// Fingerprint of the node's name.
    pub key: u64,
    pub rssi_dbm: Vec<u8>,
    pub snr_db: Vec<u8>,
    pub rssi_samples: Samples,
    pub last_received_at_ns: i64,
    pub changed: u64,
}

#[derive(Debug, Default)]
pub(crate) struct LinkTable {
    pub links: Vec<Link>,
    by_node: HashMap<(i64, u64), usize>,
}

impl LinkTable {
    /// The link of a node of an origin; a new one is added while there is room.
    pub(crate) fn of_node(
        &mut self,
        origin: i64,
        key: u64,
        source: &str,
        node: &str,
    ) -> Option<&mut Link> {
        let at = if let Some(&at) = self.by_node.get(&(origin, key)) {
            at
        } else {
            // A source with a changed profile has a new origin, but the same nodes.
            let known = self
                .links
                .iter()
                .position(|link| link.key == key && link.source == source);
            let at = known.unwrap_or(self.links.len());
            if at >= MAX_LINKS {
                return None;
            }
            if known.is_none() {
                self.links.push(Link {
                    source: source.to_owned(),
                    node: node.to_owned(),
                    key,
                    ..Link::default()
                });
            }
            self.by_node.insert((origin, key), at);
            at
        };
        self.links.get_mut(at)
    }
}

impl Link {
    /// Note a packet with its RSSI (dBm) and SNR (dB), if the receiver reported them.
    pub(crate) fn received(
        &mut self,
        signal: [Option<&[u8]>; 2],
        received_at_ns: i64,
        version: u64,
    ) {
        self.last_received_at_ns = received_at_ns;
        self.changed = version;
        for (from, to) in signal
            .into_iter()
            .zip([&mut self.rssi_dbm, &mut self.snr_db])
        {
            if let Some(text) = from {
                to.clear();
                to.extend_from_slice(text);
            }
        }
        let rssi_dbm = signal[0].and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        if let Some(rssi_dbm) = rssi_dbm {
            self.rssi_samples.push(received_at_ns / 1_000_000, rssi_dbm);
        }
    }
}
