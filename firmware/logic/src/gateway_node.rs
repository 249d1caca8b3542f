//! The gateway node. It acknowledges undamaged packets, delivers each once, and sends commands in the windows after acknowledgements.

use heapless::{Deque, Vec};
use iiot_proto::Modulation;
use iiot_proto::duty::{Allowance, Duty};
use iiot_proto::link::{
    ACK_FRAME_BYTES, ACK_TURNAROUND_MS, AckDue, Downlink, DownlinkError, Finished, Incoming, Poll,
    Receiver, ReceiverCounters, Timing,
};
use iiot_proto::packet::{Command, MAX_PACKET_BYTES, Packet, Payload};
use iiot_proto::rylr998::{Event, MAX_COMMAND_BYTES, Parser, SetupError};

use crate::Next;
use crate::radio::{Radio, RadioCounters};
use crate::sensor_node::Start;
use crate::settings::{Channel, Settings};

/// The number of runs of nodes that the gateway node remembers: eight nodes, each of which may restart.
const RUNS: usize = 16;

/// The number of commands that can wait at the same time.
const COMMANDS: usize = 8;

/// An acknowledgement that could not be sent within this time is dropped. The node will send its packet again.
const ACK_PATIENCE_MS: u64 = ACK_TURNAROUND_MS as u64 + 75;

/// The time until the next poll if nothing is due.
const IDLE_MS: u64 = 1_000;

/// A packet that was received for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The packet.
    pub packet: Packet,
    /// The received strength in dBm.
    pub rssi_dbm: i16,
    /// The signal-to-noise ratio in dB.
    pub snr_db: i8,
}

/// The gateway node.
#[derive(Clone, Debug)]
pub struct GatewayNode {
    radio: Radio,
    parser: Parser,
    receiver: Receiver<RUNS>,
    downlink: Downlink<COMMANDS>,
    duty: Duty,
    modulation: Modulation,
    /// Acknowledgements that wait for the module, each with the time at which it became due.
    acks: Deque<(AckDue, u64), 8>,
    deliveries: Deque<Delivery, 8>,
    last: Option<Delivery>,
}

impl GatewayNode {
    /// A gateway node that has not heard any node yet. Fails if the settings of the radio are not allowed.
    pub fn new(settings: &Settings, start: Start) -> Result<Self, SetupError> {
        let address = settings.gateway;
        let setup = settings.radio(address);
        let rule = setup.check()?;
        Ok(Self {
            radio: Radio::new(setup),
            parser: Parser::default(),
            receiver: Receiver::new(address),
            downlink: Downlink::new(address, start.boot, Timing::new(setup.modulation)),
            duty: start.duty_level_us.map_or(Duty::full(rule, 0), |level_us| {
                Duty::restored(rule, 0, level_us)
            }),
            modulation: setup.modulation,
            acks: Deque::new(),
            deliveries: Deque::new(),
            last: None,
        })
    }

    /// The counts of received frames.
    pub const fn counters(&self) -> ReceiverCounters {
        self.receiver.counters()
    }

    /// The counts of the module's faults.
    pub const fn radio_counters(&self) -> RadioCounters {
        self.radio.counters()
    }

    /// Whether the module is set up.
    pub const fn is_up(&self) -> bool {
        self.radio.is_up()
    }

    /// The channel on which the node listens.
    pub const fn channel(&self) -> Channel {
        Channel(self.radio.setup())
    }

    /// The last delivered packet, for the display.
    pub const fn last(&self) -> Option<Delivery> {
        self.last
    }

    /// The content of the duty bucket in microseconds, for [`Start::duty_level_us`] of the next run.
    pub fn duty_level_us(&mut self, now_ms: u64) -> u64 {
        self.duty.level_us(now_ms)
    }

    /// Accept a command for a node, which may be sent until `until_ms`.
    pub fn order(
        &mut self,
        node: u8,
        command: Command,
        until_ms: u64,
    ) -> Result<(), DownlinkError> {
        self.downlink.offer(node, command, until_ms)
    }

    /// The next packet to pass on.
    pub fn take_delivery(&mut self) -> Option<Delivery> {
        self.deliveries.pop_front()
    }

    /// The next command that has ended.
    pub fn take_finished(&mut self) -> Option<Finished> {
        self.downlink.take_finished()
    }

    /// Process bytes from the radio module.
    pub fn feed(&mut self, bytes: &[u8], now_ms: u64) {
        let Self { radio, parser, .. } = self;
        // A frame has space for one byte more than the longest packet. A longer frame is cut off there, and counts as damaged.
        let mut frames = Vec::<(Vec<u8, { MAX_PACKET_BYTES + 1 }>, i16, i8), 4>::new();
        parser.feed(bytes, now_ms, |event| {
            radio.hear(&event, now_ms);
            if let Event::Received {
                data,
                rssi_dbm,
                snr_db,
                ..
            } = event
            {
                let frame = data.iter().copied().take(MAX_PACKET_BYTES + 1).collect();
                // A chunk holds fewer frames than there is space for. Any more frames are lost, as if on air.
                let _ = frames.push((frame, rssi_dbm, snr_db));
            }
        });
        for (frame, rssi_dbm, snr_db) in &frames {
            self.receive(frame, *rssi_dbm, *snr_db, now_ms);
        }
    }

    fn receive(&mut self, frame: &[u8], rssi_dbm: i16, snr_db: i8, now_ms: u64) {
        // Without space for its delivery, a packet must not be acknowledged. It will be sent again.
        if self.deliveries.is_full() {
            return;
        }
        let ack = match self.receiver.receive(frame, rssi_dbm, snr_db, now_ms) {
            Incoming::Delivered { packet, ack } => {
                if let Payload::Answer(answer) = packet.payload {
                    self.downlink.answered(packet.header.src, answer);
                }
                let delivery = Delivery {
                    packet,
                    rssi_dbm,
                    snr_db,
                };
                self.last = Some(delivery);
                let _ = self.deliveries.push_back(delivery);
                ack
            }
            Incoming::Repeat { ack, .. } | Incoming::Rejected { ack, .. } => ack,
            Incoming::Damaged(_) | Incoming::NotForUs => None,
        };
        if let Some(ack) = ack {
            // A node sends one packet at a time, so it no longer waits for an earlier acknowledgement.
            self.acks.retain(|(waiting, _)| waiting.node != ack.node);
            let _ = self.acks.push_back((ack, now_ms));
        }
    }

    /// Find out what to do now.
    pub fn poll(&mut self, now_ms: u64, out: &mut [u8; MAX_COMMAND_BYTES]) -> Next {
        if let Some(event) = self.parser.tick(now_ms) {
            self.radio.hear(&event, now_ms);
        }
        if let Some(bytes) = self.radio.poll(now_ms, out) {
            return Next::Write { bytes };
        }
        self.acks
            .retain(|(_, due_ms)| now_ms.saturating_sub(*due_ms) <= ACK_PATIENCE_MS);
        let mut until_ms = now_ms.saturating_add(IDLE_MS);
        if self.radio.is_free(now_ms) {
            while let Some((ack, _)) = self.acks.pop_front() {
                if let Some(bytes) = self.acknowledge(&ack, now_ms, out) {
                    return Next::Write { bytes };
                }
            }
            let mut frame = [0; MAX_PACKET_BYTES];
            match self.downlink.poll(now_ms, &mut self.duty, &mut frame) {
                Poll::Transmit { bytes, to } => {
                    let frame = frame.get(..bytes).unwrap_or_default();
                    if let Some(bytes) = self.radio.send(u16::from(to), frame, now_ms, out) {
                        return Next::Write { bytes };
                    }
                }
                Poll::Wait { until_ms: poll_ms } => until_ms = until_ms.min(poll_ms),
                Poll::Idle => {}
            }
        } else if let Some(free_ms) = self.radio.free_ms() {
            until_ms = until_ms.min(free_ms);
        }
        if let Some(next_ms) = self.radio.next_ms() {
            until_ms = until_ms.min(next_ms);
        }
        Next::Wait {
            until_ms: until_ms.max(now_ms.saturating_add(1)),
        }
    }

    /// Write an acknowledgement, and return its number of bytes; `None` if the duty cycle does not allow it.
    fn acknowledge(
        &mut self,
        ack: &AckDue,
        now_ms: u64,
        out: &mut [u8; MAX_COMMAND_BYTES],
    ) -> Option<usize> {
        let airtime_us = self.modulation.airtime_us(ACK_FRAME_BYTES);
        if self.duty.take(now_ms, airtime_us) != Allowance::Granted {
            return None;
        }
        let pending = self.downlink.is_pending(ack.node, now_ms);
        let mut frame = [0; ACK_FRAME_BYTES];
        let bytes = ack.encode(pending, &mut frame).ok()?;
        let frame = frame.get(..bytes)?;
        let bytes = self.radio.send(u16::from(ack.node), frame, now_ms, out)?;
        if pending {
            self.downlink.ack_sent(ack.node, now_ms);
        }
        Some(bytes)
    }
}
