//! A node's side of the link: it sends, waits, sends again, and keeps packets for later.
//!
//! ```text
//!           offer                 retry_ms over, tries left
//!   Idle ──────────► Waiting ◄────────────────────────────┐
//!    ▲  ▲              │  └──────────────────────────────┘
//!    │  │   ACK        │ tries used up: the gateway is silent
//!    │  └─ Resting ◄───┤ (kept packets wait for the next offer, or a minute)
//!    │                 │ ACK with CMD_PENDING
//!    └── Listening ◄───┘
//! ```
//!
//! Answers go first, then the info after a start, then the newest reading. After that, while the gateway answers, the remaining packets follow from the oldest
//! on. Every packet keeps its sequence number. Therefore the gateway recognises a packet even an hour later, if all its acknowledgements were lost.

use crate::duty::{Allowance, Duty};
use crate::link::exchange::{Poll, Received, SenderConfig, SenderCounters};
use crate::link::outbox::{Entry, Outbox, Uplink};
use crate::link::timing::{LATE_MS, Timing, share};
use crate::packet::{Ack, EncodeError, Flags, Header, MAX_PACKET_BYTES, Packet, Payload};

/// The number of times that a packet is sent again before the gateway counts as silent.
const RETRIES: u8 = 3;

/// After this many packets without an answer, each further packet is sent only once, until one is answered.
const QUIET_AFTER: u8 = 3;

/// A try without an answer adds this many steps of bad luck. Each time their sum grows by this many, the delay of a first try doubles.
const UNLUCKY_STEPS: u8 = 4;

/// The most steps of bad luck. They double the delay three times.
const MOST_UNLUCKY: u8 = 12;

/// While the gateway is silent, a kept packet is tried at this interval, even if nothing new is offered.
const PROBE_MS: u32 = 60_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    /// A packet is on air, or was on air, and its acknowledgement may arrive until this time.
    Waiting {
        seq: u16,
        until_ms: u64,
    },
    /// A command may arrive until this time.
    Listening {
        until_ms: u64,
    },
    /// An acknowledgement has arrived. The channel is left to other nodes until this time, before the kept packets follow.
    Resting {
        until_ms: u64,
    },
}

/// The sending side of one node, which keeps up to `N` packets.
#[derive(Clone, Debug)]
pub struct Sender<const N: usize> {
    config: SenderConfig,
    timing: Timing,
    outbox: Outbox<N>,
    state: State,
    /// The number of packets in a row that got no answer.
    unanswered: u8,
    /// The time of the next try while the gateway is silent.
    probe_ms: u64,
    /// The packet whose tries are not used up, and the time of its first try.
    trying: Option<(u16, u64)>,
    /// The steps of bad luck, up to [`MOST_UNLUCKY`]. Each try without an answer adds [`UNLUCKY_STEPS`]; each packet that is answered at its first
    /// try subtracts one.
    unlucky: u8,
    /// Whether the next first try was already delayed.
    is_put_off: bool,
    counters: SenderCounters,
}

impl<const N: usize> Sender<N> {
    /// A sender that has not sent anything yet.
    pub fn new(config: SenderConfig) -> Self {
        Self {
            config,
            timing: Timing::new(config.modulation),
            outbox: Outbox::new(0),
            state: State::Idle,
            unanswered: 0,
            probe_ms: 0,
            trying: None,
            unlucky: 0,
            is_put_off: false,
            counters: SenderCounters::default(),
        }
    }

    /// What happened to the offered packets.
    pub const fn counters(&self) -> SenderCounters {
        self.counters
    }

    /// The boot id of this run.
    pub const fn boot(&self) -> u16 {
        self.config.boot
    }

    /// The number of packets that are kept.
    pub fn kept(&self) -> usize {
        self.outbox.len()
    }

    /// The newest sequence number that was used. Commands expire against this number.
    pub fn newest_seq(&self) -> u16 {
        self.outbox.next_seq().wrapping_sub(1)
    }

    /// Whether the last packet was answered.
    pub const fn is_answered(&self) -> bool {
        self.unanswered == 0
    }

    /// Accept a packet for delivery. If there is no more space, the oldest reading is dropped. Returns the sequence number of the new packet.
    pub fn offer(&mut self, uplink: Uplink, now_ms: u64) -> Result<u16, EncodeError> {
        uplink.payload(0).check()?;
        let (seq, evicted) = self.outbox.push(uplink, now_ms);
        self.counters.offered = self.counters.offered.saturating_add(1);
        if let Some(evicted) = evicted {
            self.counters.dropped_full = self.counters.dropped_full.saturating_add(1);
            self.forget(evicted.seq);
        }
        while let Some(outdated) = self.outbox.remove_outdated() {
            self.counters.dropped_outdated = self.counters.dropped_outdated.saturating_add(1);
            self.forget(outdated.seq);
        }
        if matches!(uplink, Uplink::Answer(_)) && matches!(self.state, State::Listening { .. }) {
            self.state = State::Idle;
        }
        self.probe_ms = now_ms;
        Ok(seq)
    }

    /// Stop waiting for the acknowledgement of a packet that is no longer kept.
    fn forget(&mut self, seq: u16) {
        if self.trying.is_some_and(|(trying, _)| trying == seq) {
            self.trying = None;
        }
        if matches!(self.state, State::Waiting { seq: waiting, .. } if waiting == seq) {
            self.state = State::Idle;
        }
    }

    /// Find out what to do now. `random` spreads the retries; calls may pass the same number or different ones.
    pub fn poll(
        &mut self,
        now_ms: u64,
        random: u32,
        duty: &mut Duty,
        buffer: &mut [u8; MAX_PACKET_BYTES],
    ) -> Poll {
        match self.state {
            State::Waiting { until_ms, .. }
            | State::Listening { until_ms }
            | State::Resting { until_ms }
                if now_ms < until_ms =>
            {
                return Poll::Wait { until_ms };
            }
            State::Waiting { seq, .. } => self.timed_out(seq, now_ms, random),
            State::Idle | State::Listening { .. } | State::Resting { .. } => {}
        }
        self.state = State::Idle;
        // Each iteration sends a packet, waits, or drops a packet.
        while let Some(entry) = self.choose(now_ms) {
            if let Some(until_ms) = self.put_off(entry, now_ms, random) {
                self.state = State::Resting { until_ms };
                return Poll::Wait { until_ms };
            }
            if let Some(poll) = self.transmit(entry, now_ms, random, duty, buffer) {
                return poll;
            }
        }
        if self.outbox.len() == 0 {
            Poll::Idle
        } else {
            Poll::Wait {
                until_ms: self.probe_ms.max(now_ms.saturating_add(1)),
            }
        }
    }

    fn choose(&mut self, now_ms: u64) -> Option<Entry> {
        if let Some((seq, _)) = self.trying {
            return self.outbox.get_mut(seq).map(|entry| *entry);
        }
        let silent = self.unanswered > 0;
        if silent && now_ms < self.probe_ms {
            return None;
        }
        if let Some(urgent) = self.outbox.urgent() {
            return Some(urgent);
        }
        let newest = self.outbox.newest()?;
        if silent || !newest.was_sent {
            Some(newest)
        } else {
            self.outbox.oldest()
        }
    }

    /// Delay the first try of a packet a little, if earlier tries failed. Otherwise, two nodes that measure at the same moment would collide at every
    /// first try.
    fn put_off(&mut self, entry: Entry, now_ms: u64, random: u32) -> Option<u64> {
        let is_awaited = entry.uplink.is_awaited();
        if entry.tries > 0 || is_awaited || self.unlucky == 0 || self.is_put_off {
            return None;
        }
        self.is_put_off = true;
        let doublings = u32::from(self.unlucky.min(MOST_UNLUCKY) / UNLUCKY_STEPS);
        let timeout_ms = self.timing.ack_timeout_ms(MAX_PACKET_BYTES);
        let put_off_ms = share(timeout_ms.saturating_mul(1 << doublings), random);
        (put_off_ms > 0).then(|| now_ms.saturating_add(u64::from(put_off_ms)))
    }

    fn timed_out(&mut self, seq: u16, now_ms: u64, random: u32) {
        self.unlucky = self.unlucky.saturating_add(UNLUCKY_STEPS).min(MOST_UNLUCKY);
        let most = if self.unanswered >= QUIET_AFTER {
            0
        } else {
            RETRIES
        };
        let Some(entry) = self.outbox.get_mut(seq) else {
            return;
        };
        if entry.tries <= most {
            return;
        }
        entry.tries = 0;
        self.unanswered = self.unanswered.saturating_add(1);
        self.counters.gave_up = self.counters.gave_up.saturating_add(1);
        let began_ms = self.trying.take().map_or(now_ms, |(_, began_ms)| began_ms);
        // If a packet was offered in the meantime, it is the next probe and goes at once.
        if self.probe_ms <= began_ms {
            let wait_ms = PROBE_MS.saturating_add(share(PROBE_MS / 4, random));
            self.probe_ms = now_ms.saturating_add(u64::from(wait_ms));
        }
    }

    fn transmit(
        &mut self,
        entry: Entry,
        now_ms: u64,
        random: u32,
        duty: &mut Duty,
        buffer: &mut [u8; MAX_PACKET_BYTES],
    ) -> Option<Poll> {
        let age_ms = now_ms.saturating_sub(entry.offered_ms);
        let age_ms = if age_ms < LATE_MS {
            0
        } else {
            u32::try_from(age_ms).unwrap_or(u32::MAX)
        };
        let SenderConfig {
            address,
            gateway,
            boot,
            modulation,
        } = self.config;
        let flags = Flags::ACK_REQ.with_if(Flags::RETRY, entry.was_sent);
        let header = Header {
            flags,
            src: address,
            dst: gateway,
            boot,
            seq: entry.seq,
        };
        let encoded = Packet {
            header,
            payload: entry.uplink.payload(age_ms),
        }
        .encode(buffer);
        // The encoder cannot fail here, because `offer` refuses packets that cannot be encoded.
        let bytes = encoded.unwrap_or(0);
        let allowance = if bytes == 0 {
            Allowance::Never
        } else {
            duty.take(now_ms, modulation.airtime_us(bytes))
        };
        match allowance {
            Allowance::Granted => {}
            Allowance::Wait { until_ms } => {
                // At that time, a newer packet may be more important.
                self.trying = None;
                return Some(Poll::Wait { until_ms });
            }
            Allowance::Never => {
                self.outbox.remove(entry.seq);
                self.forget(entry.seq);
                self.counters.dropped_never_allowed =
                    self.counters.dropped_never_allowed.saturating_add(1);
                return None;
            }
        }
        self.counters.transmitted = self.counters.transmitted.saturating_add(1);
        self.counters.retransmitted = self
            .counters
            .retransmitted
            .saturating_add(u32::from(entry.was_sent));
        let wait_ms = self.timing.retry_ms(bytes, entry.tries, random);
        if let Some(kept) = self.outbox.get_mut(entry.seq) {
            kept.tries = kept.tries.saturating_add(1);
            kept.was_sent = true;
        }
        self.is_put_off = false;
        self.state = State::Waiting {
            seq: entry.seq,
            until_ms: now_ms.saturating_add(u64::from(wait_ms)),
        };
        Some(Poll::Transmit { bytes, to: gateway })
    }

    /// Process a packet that the radio has received.
    pub fn receive(&mut self, packet: &Packet, now_ms: u64, random: u32) -> Received {
        let header = packet.header;
        if header.dst != self.config.address || header.src != self.config.gateway {
            return Received::Ignored;
        }
        match packet.payload {
            Payload::Ack(ack) if header.boot == self.config.boot => {
                self.acknowledged(header, ack, now_ms, random)
            }
            Payload::Command(command) if matches!(self.state, State::Listening { .. }) => {
                Received::Command {
                    command,
                    is_retry: header.flags.has(Flags::RETRY),
                }
            }
            _ => Received::Ignored,
        }
    }

    fn acknowledged(&mut self, header: Header, ack: Ack, now_ms: u64, random: u32) -> Received {
        let Some(entry) = self.outbox.remove(header.seq) else {
            return Received::Ignored;
        };
        self.counters.acknowledged = self.counters.acknowledged.saturating_add(1);
        self.unanswered = 0;
        if entry.tries == 1 {
            self.unlucky = self.unlucky.saturating_sub(1);
        }
        if self.trying.is_some_and(|(trying, _)| trying == entry.seq) {
            self.trying = None;
        }
        let command_pending = header.flags.has(Flags::CMD_PENDING);
        // If a late acknowledgement arrives for a packet given up earlier, the wait for another packet goes on.
        let was_awaited = !matches!(self.state, State::Waiting { seq, .. } if seq != entry.seq);
        if command_pending {
            self.state = State::Listening {
                until_ms: now_ms.saturating_add(u64::from(self.timing.listen_ms())),
            };
        } else if was_awaited {
            let rest_ms = share(self.timing.ack_timeout_ms(MAX_PACKET_BYTES), random);
            self.state = State::Resting {
                until_ms: now_ms.saturating_add(u64::from(rest_ms)),
            };
        }
        Received::Acknowledged {
            seq: entry.seq,
            ack,
            command_pending,
        }
    }
}
