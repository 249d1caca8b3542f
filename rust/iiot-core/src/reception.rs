//! A packet of a node as a receiver heard it. Repeats and losses are found from it.

/// One node's part of a document, as its profile found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reception {
    /// Fingerprint of the node's name.
    pub node: u64,
    /// Boot id, if the document has one.
    pub boot: Option<u64>,
    /// Sequence number.
    pub seq: u64,
    /// Fingerprint of the text of the node's object.
    pub object: u64,
    /// Where the sequence number wraps, if the profile says.
    pub modulus: Option<u64>,
}

impl Reception {
    /// Equal for repeats. The first receiver of a source is number 0.
    #[inline]
    pub(crate) fn fingerprint(&self, receiver: u64) -> u64 {
        let mut h = mix(self.node ^ 0x9e37_79b9_7f4a_7c15);
        h = mix(h ^ self
            .boot
            .map_or(0x5bd1_e995, |b| mix(b ^ 0xff51_afd7_ed55_8ccd)));
        h = mix(h ^ self.seq);
        of_receiver(mix(h ^ self.object), receiver)
    }

    /// The link between the node and its receiver, on which losses are counted.
    #[inline]
    pub(crate) fn link(&self, receiver: u64) -> u64 {
        of_receiver(self.node, receiver)
    }
}

/// The first receiver changes nothing, so that windows from before there were several stay valid.
const fn of_receiver(hash: u64, receiver: u64) -> u64 {
    if receiver == 0 {
        hash
    } else {
        mix(hash ^ mix(receiver))
    }
}

/// The finaliser of `SplitMix64`: every input bit reaches every output bit.
const fn mix(mut x: u64) -> u64 {
    x ^= x >> 30;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 27;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
