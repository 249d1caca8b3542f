//! A sensor node of the simulation: it measures, sends, and obeys commands.

use iiot_proto::airtime::Modulation;
use iiot_proto::duty::Duty;
use iiot_proto::link::{CommandGuard, Judgement, Poll, Received, Sender, SenderConfig, Uplink};
use iiot_proto::mac::Key;
use iiot_proto::packet::{Action, MAX_PACKET_BYTES, Outcome, Packet, Reading, Status};
use iiot_proto::rylr998::{Event, Parser};

use super::channel::{HourMeter, Path};
use super::original;
use super::plan::{Plan, Protocol};
use super::world::{GATEWAY, Happening, OUTBOX, World};

pub(super) struct Node {
    pub(super) address: u8,
    pub(super) sender: Sender<OUTBOX>,
    pub(super) guard: CommandGuard,
    pub(super) duty: Duty,
    pub(super) parser: Parser,
    pub(super) up: Path,
    pub(super) down: Path,
    pub(super) meter: HourMeter,
    /// The time of each measurement, indexed by the number of the reading.
    pub(super) measured_ms: Vec<u64>,
    pub(super) arrived: Vec<bool>,
    /// Whether each reading was lost because the node restarted before the reading had arrived.
    pub(super) forgotten: Vec<bool>,
    pub(super) obeyed: Vec<u32>,
    pub(super) restarts_dropped: u64,
    pub(super) polled_at_ms: u64,
}

impl Node {
    pub(super) fn new(address: u8, boot: u16, plan: &Plan) -> Self {
        Self {
            address,
            sender: sender(address, boot, plan.modulation),
            guard: CommandGuard::new(key(), address, boot),
            duty: Duty::full(plan.rule, 0),
            parser: Parser::default(),
            up: Path::new(plan.air),
            down: Path::new(plan.air),
            meter: HourMeter::default(),
            measured_ms: Vec::new(),
            arrived: Vec::new(),
            forgotten: Vec::new(),
            obeyed: Vec::new(),
            restarts_dropped: 0,
            polled_at_ms: u64::MAX,
        }
    }
}

fn sender(address: u8, boot: u16, modulation: Modulation) -> Sender<OUTBOX> {
    Sender::new(SenderConfig {
        address,
        gateway: GATEWAY,
        boot,
        modulation,
    })
}

pub(super) fn key() -> Key {
    Key::new(*b"sixteen bytes ok")
}

/// The values that node and gateway expect in reading `number`, so that a false reading is noticed.
pub(super) fn reading(number: u32) -> Reading {
    Reading {
        temperature_centidegrees: Some((number % 12_000) as i16 - 4_000),
        humidity_centipercent: Some((number % 10_001) as u16),
        gas_resistance_ohm: Some(number),
        pressure_pa: Some(90_000 + number % 20_000),
        battery_mv: Some(3_000 + (number % 900) as u16),
        status: if number.is_multiple_of(97) {
            Status::BUTTON
        } else {
            Status::NONE
        },
        age_ms: 0,
    }
}

impl World {
    pub(super) fn measure(&mut self, index: usize) {
        // The quartz drifts by some parts in a million, and the duration of a measurement varies.
        let next_ms = self.now_ms + self.plan.interval_ms - 10 + self.dice.below(21);
        self.at(
            if self.plan.in_step {
                self.now_ms + self.plan.interval_ms
            } else {
                next_ms
            },
            Happening::Measure(index),
        );
        if let Some(restarts) = self.plan.restarts
            && self.dice.below(restarts) == 0
        {
            self.restart(index);
        }
        let node = &mut self.nodes[index];
        let number = node.measured_ms.len() as u32;
        node.measured_ms.push(self.now_ms);
        node.arrived.push(false);
        node.forgotten.push(false);
        match self.plan.protocol {
            Protocol::Ours => {
                node.sender
                    .offer(Uplink::Reading(reading(number)), self.now_ms)
                    .unwrap();
                self.poll_node(index);
            }
            Protocol::Original => self.transmit(Some(index), None, original::data(number)),
        }
        if self.plan.protocol == Protocol::Ours && self.dice.below(60) == 0 {
            self.command(index);
        }
    }

    /// The node loses the packets in its memory, and starts with another boot id.
    pub(super) fn restart(&mut self, index: usize) {
        let boot = self.dice.bits() as u16;
        let node = &mut self.nodes[index];
        for (forgotten, arrived) in node.forgotten.iter_mut().zip(&node.arrived) {
            *forgotten = !arrived;
        }
        node.restarts_dropped += u64::from(node.sender.counters().dropped());
        node.sender = sender(node.address, boot, self.plan.modulation);
        node.guard = CommandGuard::new(key(), node.address, boot);
    }

    pub(super) fn poll_node(&mut self, index: usize) {
        let mut buffer = [0; MAX_PACKET_BYTES];
        let random = self.dice.bits() as u32;
        let node = &mut self.nodes[index];
        match node
            .sender
            .poll(self.now_ms, random, &mut node.duty, &mut buffer)
        {
            Poll::Transmit { bytes, .. } => {
                self.transmit(Some(index), None, buffer[..bytes].to_vec());
                self.poll_node(index);
            }
            Poll::Wait { until_ms } => {
                let stale = node.polled_at_ms <= self.now_ms;
                if stale || until_ms < node.polled_at_ms {
                    node.polled_at_ms = until_ms;
                    self.at(until_ms, Happening::PollNode(index));
                }
            }
            Poll::Idle => node.polled_at_ms = u64::MAX,
        }
    }

    pub(super) fn node_hears(&mut self, index: usize, line: &[u8]) {
        let mut packets = Vec::new();
        let node = &mut self.nodes[index];
        node.parser.feed(line, self.now_ms, |event| {
            if let Event::Received { data, .. } = event {
                packets.extend(Packet::decode(data));
            }
        });
        if self.plan.protocol == Protocol::Original {
            return;
        }
        for packet in packets {
            let random = self.dice.bits() as u32;
            let node = &mut self.nodes[index];
            let received = node.sender.receive(&packet, self.now_ms, random);
            if let Received::Command { command, is_retry } = received {
                let answer = match node
                    .guard
                    .judge(&command, is_retry, node.sender.newest_seq())
                {
                    Judgement::Reply(answer) => answer,
                    Judgement::Obey(Action::SetInterval { interval_s }) => {
                        node.obeyed.push(command.counter);
                        node.guard.finish(Outcome::Done, interval_s)
                    }
                    Judgement::Obey(_) => node.guard.finish(Outcome::NotPossible, 0),
                };
                node.sender
                    .offer(Uplink::Answer(answer), self.now_ms)
                    .unwrap();
            }
        }
        self.poll_node(index);
    }
}
