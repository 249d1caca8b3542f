//! Sensor nodes, a gateway node and the air between them, in simulated time, with the very state machines of the firmware.
//!
//! Frames pass the module's own language on both sides: what a machine wants to send is written as a command, and what arrives is read from
//! `+RCV` lines.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use iiot_proto::airtime::Modulation;
use iiot_proto::duty::{Allowance, Duty, DutyRule};
use iiot_proto::link::{
    ACK_FRAME_BYTES, CommandGuard, Downlink, Fate, Incoming, Poll, Receiver, Sender, SenderConfig,
    Timing, Uplink, Verdict,
};
use iiot_proto::mac::Key;
use iiot_proto::packet::{
    Action, Command, MAX_PACKET_BYTES, Outcome, Packet, Payload, Reading, Status,
};
use iiot_proto::rylr998::{self, Event, MAX_COMMAND_BYTES, Parser};

use super::channel::{Air, Dice, HourMeter, Path};
use super::original;

/// The address of the gateway node; nodes have 1, 3, 4 and so on.
pub const GATEWAY: u8 = 2;
pub const OUTBOX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Ours,
    /// One send, an acknowledgement without consequence.
    Original,
}

#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub protocol: Protocol,
    pub air: Air,
    pub nodes: usize,
    pub interval_ms: u64,
    pub modulation: Modulation,
    pub rule: DutyRule,
    /// New readings stop after so many frames on air; what is kept is then given ten minutes.
    pub frames: u64,
    pub seed: u64,
    /// All nodes measure at the same moment.
    pub in_step: bool,
    /// A node restarts on average once in so many readings.
    pub restarts: Option<u64>,
    /// The other side is gone in this span.
    pub silence_ms: Option<(u64, u64)>,
}

#[derive(Clone, Debug, Default)]
pub struct Report {
    pub offered: u64,
    /// Of the offered, how many the gateway has.
    pub delivered: u64,
    /// Delivered a second time.
    pub doubled: u64,
    /// Delivered, but never offered so, or with a time more than the link promises away from its own.
    pub false_readings: u64,
    /// Gone with a restart of their node.
    pub lost_in_restart: u64,
    /// Dropped and counted by a sender.
    pub dropped: u64,
    pub frames: u64,
    pub collided: u64,
    pub damaged: u64,
    pub repeats: u64,
    pub commands_done: u64,
    pub commands_unanswered: u64,
    pub commands_obeyed_twice: u64,
    /// The fullest hour of any radio, in thousandths.
    pub worst_hour_per_mille: f64,
    pub airtime_per_reading_ms: f64,
    pub hours: f64,
}

impl Report {
    pub fn delivery(&self) -> f64 {
        self.delivered as f64 / (self.offered - self.lost_in_restart).max(1) as f64
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Measure(usize),
    PollNode(usize),
    PollGateway,
    AirEnds(u64),
}

struct OnAir {
    id: u64,
    /// The node, or `None` for the gateway.
    from: Option<usize>,
    /// The node it is for, or `None` for the gateway.
    to: Option<usize>,
    start_ms: u64,
    end_ms: u64,
    frame: Vec<u8>,
}

struct Node {
    address: u8,
    sender: Sender<OUTBOX>,
    guard: CommandGuard,
    duty: Duty,
    parser: Parser,
    up: Path,
    down: Path,
    meter: HourMeter,
    /// When each reading was measured, by its number.
    measured_ms: Vec<u64>,
    arrived: Vec<bool>,
    /// Not yet arrived when the node restarted.
    forgotten: Vec<bool>,
    obeyed: Vec<u32>,
    restarts_dropped: u64,
    polled_at_ms: u64,
}

struct Gateway {
    receiver: Receiver<16>,
    downlink: Downlink<4>,
    duty: Duty,
    parser: Parser,
    meter: HourMeter,
    /// Acknowledgements that wait for the radio: when, to which node, the frame, and whether a command follows.
    waiting: VecDeque<(u64, usize, Vec<u8>, bool)>,
    busy_until_ms: u64,
    command_counter: u32,
}

pub struct World {
    plan: Plan,
    dice: Dice,
    now_ms: u64,
    queue: BinaryHeap<Reverse<(u64, u64, Happening)>>,
    order: u64,
    air: Vec<OnAir>,
    nodes: Vec<Node>,
    gateway: Gateway,
    airtime_us: u64,
    report: Report,
}

fn key() -> Key {
    Key::new(*b"sixteen bytes ok")
}

/// What node and gateway agree that reading `number` holds, so that a false one shows.
fn reading(number: u32) -> Reading {
    Reading {
        temperature_centidegrees: Some((number % 12_000) as i16 - 4_000),
        humidity_centipercent: Some((number % 10_001) as u16),
        gas_resistance_ohm: Some(number),
        pressure_pa: Some(90_000 + number % 20_000),
        battery_mv: Some(3_000 + (number % 900) as u16),
        status: if number % 97 == 0 {
            Status::BUTTON
        } else {
            Status::NONE
        },
        age_ms: 0,
    }
}

impl World {
    pub fn new(plan: Plan) -> Self {
        let mut dice = Dice::new(plan.seed);
        let nodes = (0..plan.nodes).map(|index| {
            let address = if index == 0 { 1 } else { index as u8 + 2 };
            let boot = dice.bits() as u16;
            Node {
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
        });
        let nodes: Vec<Node> = nodes.collect();
        let gateway = Gateway {
            receiver: Receiver::new(GATEWAY),
            downlink: Downlink::new(GATEWAY, 0xBEEF, Timing::new(plan.modulation)),
            duty: Duty::full(plan.rule, 0),
            parser: Parser::default(),
            meter: HourMeter::default(),
            waiting: VecDeque::new(),
            busy_until_ms: 0,
            command_counter: 0,
        };
        let mut world = Self {
            plan,
            dice,
            now_ms: 0,
            queue: BinaryHeap::new(),
            order: 0,
            air: Vec::new(),
            nodes,
            gateway,
            airtime_us: 0,
            report: Report::default(),
        };
        for index in 0..plan.nodes {
            let phase_ms = if plan.in_step {
                1_000
            } else {
                world.dice.below(plan.interval_ms)
            };
            world.at(phase_ms, Happening::Measure(index));
        }
        world
    }

    /// Run to the end.
    pub fn run(mut self) -> Report {
        let mut last_ms = None;
        while let Some(Reverse((at_ms, _, happening))) = self.queue.pop() {
            self.now_ms = at_ms;
            if self.report.frames >= self.plan.frames && last_ms.is_none() {
                last_ms = Some(at_ms + 600_000);
            }
            if last_ms.is_some_and(|last_ms| at_ms > last_ms) {
                break;
            }
            match happening {
                Happening::Measure(index) if last_ms.is_none() => self.measure(index),
                Happening::Measure(_) => {}
                Happening::PollNode(index) => self.poll_node(index),
                Happening::PollGateway => self.poll_gateway(),
                Happening::AirEnds(id) => self.air_ends(id),
            }
        }
        self.summarise()
    }

    fn summarise(mut self) -> Report {
        let mut most_us = self.gateway.meter.most_us;
        for node in &self.nodes {
            self.report.offered += node.measured_ms.len() as u64;
            self.report.delivered += node.arrived.iter().filter(|arrived| **arrived).count() as u64;
            let lost = node.forgotten.iter().zip(&node.arrived);
            self.report.lost_in_restart += lost
                .filter(|(forgotten, arrived)| **forgotten && !**arrived)
                .count() as u64;
            let counters = node.sender.counters();
            assert_eq!(
                counters.offered,
                counters.acknowledged + counters.dropped() + node.sender.kept() as u32,
                "the sender's ledger balances"
            );
            self.report.dropped += u64::from(counters.dropped()) + node.restarts_dropped;
            most_us = most_us.max(node.meter.most_us);
            let mut obeyed = node.obeyed.clone();
            obeyed.sort_unstable();
            let all = obeyed.len();
            obeyed.dedup();
            self.report.commands_obeyed_twice += (all - obeyed.len()) as u64;
        }
        let received = self.gateway.receiver.counters();
        self.report.damaged = u64::from(received.damaged);
        self.report.repeats = u64::from(received.repeated);
        self.report.worst_hour_per_mille = most_us as f64 / 3_600_000.0;
        self.report.airtime_per_reading_ms =
            self.airtime_us as f64 / 1000.0 / self.report.offered.max(1) as f64;
        self.report.hours = self.now_ms as f64 / 3_600_000.0;
        self.report
    }

    fn at(&mut self, at_ms: u64, happening: Happening) {
        self.order += 1;
        self.queue.push(Reverse((at_ms, self.order, happening)));
    }

    fn measure(&mut self, index: usize) {
        // Quartz drifts by some parts in a million, and a measurement takes a varying while.
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

    /// The node loses what it keeps, and starts with another boot id.
    fn restart(&mut self, index: usize) {
        let boot = self.dice.bits() as u16;
        let node = &mut self.nodes[index];
        for (forgotten, arrived) in node.forgotten.iter_mut().zip(&node.arrived) {
            *forgotten = !arrived;
        }
        node.restarts_dropped += u64::from(node.sender.counters().dropped());
        node.sender = sender(node.address, boot, self.plan.modulation);
        node.guard = CommandGuard::new(key(), node.address, boot);
    }

    fn command(&mut self, index: usize) {
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

    fn poll_node(&mut self, index: usize) {
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

    fn poll_gateway(&mut self) {
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

    /// Hand a frame to a radio, as the command that the module takes.
    fn transmit(&mut self, from: Option<usize>, to: Option<usize>, frame: Vec<u8>) {
        let address = to.map_or(GATEWAY, |index| self.nodes[index].address);
        let mut command = [0; MAX_COMMAND_BYTES];
        let send = rylr998::Command::Send {
            address: u16::from(address),
            data: &frame,
        };
        let length = send.write(&mut command).unwrap();
        let carried = &command[length - 2 - frame.len()..length - 2];
        assert_eq!(carried, frame);
        let modulation = self.plan.modulation;
        let airtime_us = u64::from(modulation.airtime_us(frame.len()));
        let end_ms = self.now_ms + airtime_us.div_ceil(1000);
        self.airtime_us += airtime_us;
        self.report.frames += 1;
        let meter = match from {
            Some(index) => &mut self.nodes[index].meter,
            None => {
                self.gateway.busy_until_ms =
                    self.now_ms + u64::from(modulation.hold_ms(frame.len()));
                &mut self.gateway.meter
            }
        };
        meter.sent(self.now_ms, airtime_us);
        let (id, start_ms) = (self.report.frames, self.now_ms);
        self.air.push(OnAir {
            id,
            from,
            to,
            start_ms,
            end_ms,
            frame,
        });
        self.at(end_ms, Happening::AirEnds(id));
    }

    fn air_ends(&mut self, id: u64) {
        let Some(at) = self.air.iter().position(|other| other.id == id) else {
            return;
        };
        let sent = &self.air[at];
        // Two frames at once at a receiver are both lost, and a radio that sends hears nothing.
        let overlaps = |other: &OnAir| {
            other.id != id && other.start_ms < sent.end_ms && sent.start_ms < other.end_ms
        };
        let collided = self.air.iter().any(overlaps);
        let (from, to, frame) = (sent.from, sent.to, sent.frame.clone());
        let gone_before_ms = self.now_ms.saturating_sub(20_000);
        self.air.retain(|other| other.end_ms > gone_before_ms);
        if self
            .plan
            .silence_ms
            .is_some_and(|(start, end)| (start..end).contains(&self.now_ms))
        {
            return;
        }
        if collided {
            self.report.collided += 1;
            return;
        }
        let (now_ms, dice) = (self.now_ms, &mut self.dice);
        let arrived = match (from, to) {
            (Some(index), None) => self.nodes[index].up.carry(&frame, now_ms, dice),
            (None, Some(index)) => self.nodes[index].down.carry(&frame, now_ms, dice),
            _ => Vec::new(),
        };
        for frame in arrived {
            let source = from.map_or(GATEWAY, |index| self.nodes[index].address);
            let mut line = format!("+RCV={source},{},", frame.len()).into_bytes();
            line.extend_from_slice(&frame);
            line.extend_from_slice(b",-71,9\r\n");
            match to {
                None => self.gateway_hears(&line),
                Some(index) => self.node_hears(index, &line),
            }
        }
    }

    fn gateway_hears(&mut self, line: &[u8]) {
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

    fn take_incoming(&mut self, incoming: &Incoming) {
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

    fn take_reading(&mut self, packet: &Packet, got: Reading) {
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

    fn delivered(&mut self, index: usize, number: u32) {
        match self.nodes[index].arrived.get_mut(number as usize) {
            Some(arrived) if *arrived => self.report.doubled += 1,
            Some(arrived) => *arrived = true,
            None => self.report.false_readings += 1,
        }
    }

    fn node_hears(&mut self, index: usize, line: &[u8]) {
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
            if let iiot_proto::link::Received::Command { command, is_retry } = received {
                let answer = match node
                    .guard
                    .judge(&command, is_retry, node.sender.newest_seq())
                {
                    Verdict::Reply(answer) => answer,
                    Verdict::Obey(Action::SetInterval { interval_s }) => {
                        node.obeyed.push(command.counter);
                        node.guard.finish(Outcome::Done, interval_s)
                    }
                    Verdict::Obey(_) => node.guard.finish(Outcome::NotPossible, 0),
                };
                node.sender
                    .offer(Uplink::Answer(answer), self.now_ms)
                    .unwrap();
            }
        }
        self.poll_node(index);
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
