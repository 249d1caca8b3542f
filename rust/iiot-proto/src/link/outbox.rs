//! The packets that a node has not delivered yet: recent readings, infos and answers, in their order. When there is no more space, the oldest reading
//! is dropped first.

use crate::link::window::WINDOW_PACKETS;
use crate::packet::{Answer, Info, Payload, Reading, Status};

/// What a node sends with a request for an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uplink {
    /// The values that the node's sensors returned.
    Reading(Reading),
    /// What the node is and why it started.
    Info(Info),
    /// What happened to a command.
    Answer(Answer),
}

impl Uplink {
    /// Whether a person or the gateway waits for this packet.
    pub(crate) fn is_awaited(&self) -> bool {
        match self {
            Self::Reading(reading) => reading.status.has(Status::BUTTON),
            Self::Info(_) => false,
            Self::Answer(_) => true,
        }
    }

    /// The payload that goes on air after a wait of `age_ms`.
    pub(crate) fn payload(self, age_ms: u32) -> Payload {
        match self {
            Self::Reading(reading) => Payload::Reading(Reading {
                age_ms: reading.age_ms.saturating_add(age_ms),
                ..reading
            }),
            Self::Info(info) => Payload::Info(info),
            Self::Answer(answer) => Payload::Answer(answer),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) seq: u16,
    pub(crate) offered_ms: u64,
    pub(crate) uplink: Uplink,
    /// The number of attempts since the packet was last chosen.
    pub(crate) tries: u8,
    /// Whether the packet was on air before.
    pub(crate) was_sent: bool,
}

/// Up to `N` packets that wait.
#[derive(Clone, Debug)]
pub(crate) struct Outbox<const N: usize> {
    entries: [Option<Entry>; N],
    next_seq: u16,
}

impl<const N: usize> Outbox<N> {
    const FITS: () = assert!(
        N >= 2 && N < WINDOW_PACKETS as usize,
        "the receiver's window must cover the outbox"
    );

    pub(crate) fn new(first_seq: u16) -> Self {
        let () = Self::FITS;
        Self {
            entries: [None; N],
            next_seq: first_seq,
        }
    }

    pub(crate) fn next_seq(&self) -> u16 {
        self.next_seq
    }

    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }

    fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().flatten()
    }

    /// The distance of a packet from the next sequence number; 1 for the newest packet.
    fn rank(&self, entry: &Entry) -> u16 {
        self.next_seq.wrapping_sub(entry.seq)
    }

    /// Keep a packet, in place of another one if there is no space. Returns the sequence number of the packet, and the packet that was dropped for it.
    pub(crate) fn push(&mut self, uplink: Uplink, now_ms: u64) -> (u16, Option<Entry>) {
        let seq = self.next_seq;
        let evicted = if self.len() < N { None } else { self.evict() };
        let entry = Entry {
            seq,
            offered_ms: now_ms,
            uplink,
            tries: 0,
            was_sent: false,
        };
        if let Some(place) = self.entries.iter_mut().find(|place| place.is_none()) {
            *place = Some(entry);
        }
        self.next_seq = seq.wrapping_add(1);
        (seq, evicted)
    }

    /// Remove the oldest reading, or the oldest packet if there is no reading.
    fn evict(&mut self) -> Option<Entry> {
        let is_reading = |entry: &&Entry| matches!(entry.uplink, Uplink::Reading(_));
        let seq = self
            .iter()
            .filter(is_reading)
            .max_by_key(|entry| self.rank(entry))
            .or_else(|| self.iter().max_by_key(|entry| self.rank(entry)))?
            .seq;
        self.remove(seq)
    }

    /// Remove a packet that has fallen behind the receiver's window.
    pub(crate) fn remove_outdated(&mut self) -> Option<Entry> {
        let seq = self
            .iter()
            .find(|entry| self.rank(entry) >= WINDOW_PACKETS)?
            .seq;
        self.remove(seq)
    }

    pub(crate) fn remove(&mut self, seq: u16) -> Option<Entry> {
        self.entries
            .iter_mut()
            .find(|place| place.as_ref().is_some_and(|entry| entry.seq == seq))?
            .take()
    }

    pub(crate) fn get_mut(&mut self, seq: u16) -> Option<&mut Entry> {
        self.entries
            .iter_mut()
            .flatten()
            .find(|entry| entry.seq == seq)
    }

    /// The packet that goes before all readings: the oldest answer, or else the oldest info.
    pub(crate) fn urgent(&self) -> Option<Entry> {
        let oldest = |wanted: fn(&Uplink) -> bool| {
            self.iter()
                .filter(|entry| wanted(&entry.uplink))
                .max_by_key(|entry| self.rank(entry))
        };
        oldest(|uplink| matches!(uplink, Uplink::Answer(_)))
            .or_else(|| oldest(|uplink| matches!(uplink, Uplink::Info(_))))
            .copied()
    }

    pub(crate) fn newest(&self) -> Option<Entry> {
        self.iter().min_by_key(|entry| self.rank(entry)).copied()
    }

    pub(crate) fn oldest(&self) -> Option<Entry> {
        self.iter().max_by_key(|entry| self.rank(entry)).copied()
    }
}
