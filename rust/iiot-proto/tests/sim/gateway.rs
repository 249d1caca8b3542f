//! The gateway node of the simulation: it accepts packets, acknowledges them, and sends commands.

use std::collections::VecDeque;

use iiot_proto::duty::{Allowance, Duty};
use iiot_proto::link::{ACK_FRAME_BYTES, Downlink, Fate, Incoming, Poll, Receiver, Timing};
use iiot_proto::packet::{Action, Command, MAX_PACKET_BYTES, Outcome, Packet, Payload, Reading};
use iiot_proto::rylr998::{Event, Parser};

use super::channel::HourMeter;
use super::node::{key, reading};
use super::original;
use super::plan::{Plan, Protocol};
use super::world::{GATEWAY, Happening, World};

pub(super) struct Gateway {
    pub(super) receiver: Receiver<16>,
    pub(super) downlink: Downlink<4>,
    pub(super) duty: Duty,
    pub(super) parser: Parser,
    pub(super) meter: HourMeter,
    /// Acknowledgements that wait for the radio: the time, the node, the frame, and whether a command follows.
    pub(super) waiting: VecDeque<(u64, usize, Vec<u8>, bool)>,
    pub(super) busy_until_ms: u64,
    pub(super) command_counter: u32,
}

impl Gateway {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            receiver: Receiver::new(GATEWAY),
            downlink: Downlink::new(GATEWAY, 0xBEEF, Timing::new(plan.modulation)),
            duty: Duty::full(plan.rule, 0),
            parser: Parser::default(),
            meter: HourMeter::default(),
            waiting: VecDeque::new(),
            busy_until_ms: 0,
            command_counter: 0,
        }
    }
}

impl World {
    pub(super) fn command(&mut self, index: usize) {
        self.gateway.command_counter += 1;
        let counter = self.gateway.command_counter;
        let node = &self.nodes[index];
        let action = Action::SetInterval {
            interval_s: (counter % 600) as u16 + 1,
        };
        let until_seq = node.sender.newest_seq().wrapping_add(60);
        let command = Command::sign(
            &key(),
            node.address,
            node.sender.boot(),
            until_seq,
            counter,
            action,
        );
        let until_ms = self.now_ms + 600_000;
        let _ = self.gateway.downlink.offer(node.address, command, until_ms);
    }

    pub(super) fn poll_gateway(&mut self) {
        if self.now_ms < self.gateway.busy_until_ms {
            let free_ms = self.gateway.busy_until_ms;
            self.at(free_ms, Happening::PollGateway);
            return;
        }
        if let Some(due_ms) = self.gateway.waiting.front().map(|(due_ms, ..)| *due_ms)
            && due_ms <= self.now_ms
            && let Some((_, index, frame, pending)) = self.gateway.waiting.pop_front()
        {
            let airtime_us = self.plan.modulation.airtime_us(frame.len());
            if self.gateway.duty.take(self.now_ms, airtime_us) == Allowance::Granted {
                if pending {
                    self.gateway
                        .downlink
                        .ack_sent(self.nodes[index].address, self.now_ms);
                }
                self.transmit(None, Some(index), frame);
            }
            self.poll_gateway();
            return;
        }
        let mut buffer = [0; MAX_PACKET_BYTES];
        match self
            .gateway
            .downlink
            .poll(self.now_ms, &mut self.gateway.duty, &mut buffer)
        {
            Poll::Transmit { bytes, to } => {
                let index = self.nodes.iter().position(|node| node.address == to);
                self.transmit(None, index, buffer[..bytes].to_vec());
                self.poll_gateway();
            }
            Poll::Wait { until_ms } if until_ms < self.now_ms + 5_000 => {
                self.at(until_ms, Happening::PollGateway);
            }
            Poll::Wait { .. } | Poll::Idle => {}
        }
        while let Some(finished) = self.gateway.downlink.take_finished() {
            match finished.fate {
                Fate::Answered(answer) if answer.outcome == Outcome::Done => {
                    self.report.commands_done += 1;
                }
                Fate::Answered(_) | Fate::Expired | Fate::Unanswered => {
                    self.report.commands_unanswered += 1;
                }
            }
        }
    }

    pub(super) fn gateway_hears(&mut self, line: &[u8]) {
        let mut frames = Vec::new();
        self.gateway.parser.feed(line, self.now_ms, |event| {
            if let Event::Received {
                data,
                rssi_dbm,
                snr_db,
                ..
            } = event
            {
                frames.push((data.to_vec(), rssi_dbm, snr_db));
            }
        });
        for (frame, rssi_dbm, snr_db) in frames {
            match self.plan.protocol {
                Protocol::Original => {
                    if let Some((index, number)) = original::read(&frame) {
                        self.delivered(index, number);
                        self.transmit(None, Some(index), original::ack(number));
                    }
                }
                Protocol::Ours => {
                    let incoming =
                        self.gateway
                            .receiver
                            .receive(&frame, rssi_dbm, snr_db, self.now_ms);
                    self.take_incoming(&incoming);
                }
            }
        }
    }

    pub(super) fn take_incoming(&mut self, incoming: &Incoming) {
        if let Incoming::Delivered { packet, .. } = incoming {
            match packet.payload {
                Payload::Reading(reading) => self.take_reading(packet, reading),
                Payload::Answer(answer) if answer.is_genuine(&key(), packet.header.src) => {
                    self.gateway.downlink.answered(packet.header.src, answer);
                }
                _ => self.report.false_readings += 1,
            }
        }
        let (Incoming::Delivered { ack, .. }
        | Incoming::Repeat { ack, .. }
        | Incoming::Rejected { ack, .. }) = incoming
        else {
            return;
        };
        let Some(ack) = ack else { return };
        let pending = self.gateway.downlink.is_pending(ack.node, self.now_ms);
        let mut frame = [0; ACK_FRAME_BYTES];
        ack.encode(pending, &mut frame).unwrap();
        let Some(index) = self.nodes.iter().position(|node| node.address == ack.node) else {
            return;
        };
        let due_ms = self.now_ms + 5 + self.dice.below(40);
        self.gateway
            .waiting
            .push_back((due_ms, index, frame.to_vec(), pending));
        self.at(due_ms, Happening::PollGateway);
    }

    pub(super) fn take_reading(&mut self, packet: &Packet, got: Reading) {
        let number = got.gas_resistance_ohm.unwrap_or(u32::MAX);
        let node = self
            .nodes
            .iter()
            .position(|node| node.address == packet.header.src);
        let known = node
            .and_then(|index| Some((index, *self.nodes[index].measured_ms.get(number as usize)?)));
        let Some((index, measured_ms)) = known else {
            self.report.false_readings += 1;
            return;
        };
        let own_ms = self.now_ms - u64::from(got.age_ms);
        let airtime_ms = u64::from(self.plan.modulation.airtime_ms(MAX_PACKET_BYTES));
        let is_timely = own_ms >= measured_ms && own_ms - measured_ms < 1_000 + airtime_ms;
        if (Reading { age_ms: 0, ..got }) != reading(number) || !is_timely {
            self.report.false_readings += 1;
        }
        self.delivered(index, number);
    }

    pub(super) fn delivered(&mut self, index: usize, number: u32) {
        match self.nodes[index].arrived.get_mut(number as usize) {
            Some(arrived) if *arrived => self.report.doubled += 1,
            Some(arrived) => {
                *arrived = true;
                let measured_ms = self.nodes[index].measured_ms[number as usize];
                self.delays_ms.push((self.now_ms - measured_ms) as u32);
            }
            None => self.report.false_readings += 1,
        }
    }
}
