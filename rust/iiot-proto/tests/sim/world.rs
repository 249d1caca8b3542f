//! Sensor nodes, a gateway node and the air between them, in simulated time, with the state machines of the firmware.
//!
//! Both sides use the language of the radio module. A frame to send is written as a command, and an arriving frame is read from `+RCV` lines.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use iiot_proto::rylr998::{self, MAX_COMMAND_BYTES};

use super::channel::Dice;
use super::gateway::Gateway;
use super::node::Node;
use super::plan::{Plan, Report};

/// The address of the gateway node. The other nodes have 1, 3, 4 and so on.
pub const GATEWAY: u8 = 2;
pub const OUTBOX: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Happening {
    Measure(usize),
    PollNode(usize),
    PollGateway,
    AirEnds(u64),
}

struct OnAir {
    id: u64,
    /// The sending node, or `None` for the gateway.
    from: Option<usize>,
    /// The receiving node, or `None` for the gateway.
    to: Option<usize>,
    start_ms: u64,
    end_ms: u64,
    frame: Vec<u8>,
}

pub struct World {
    pub(super) plan: Plan,
    pub(super) dice: Dice,
    pub(super) now_ms: u64,
    pub(super) queue: BinaryHeap<Reverse<(u64, u64, Happening)>>,
    pub(super) order: u64,
    air: Vec<OnAir>,
    pub(super) nodes: Vec<Node>,
    pub(super) gateway: Gateway,
    airtime_us: u64,
    pub(super) delays_ms: Vec<u32>,
    pub(super) report: Report,
}

impl World {
    pub fn new(plan: Plan) -> Self {
        let mut dice = Dice::new(plan.seed);
        let nodes = (0..plan.nodes).map(|index| {
            let address = if index == 0 { 1 } else { index as u8 + 2 };
            let boot = dice.bits() as u16;
            Node::new(address, boot, &plan)
        });
        let nodes: Vec<Node> = nodes.collect();
        let mut world = Self {
            plan,
            dice,
            now_ms: 0,
            queue: BinaryHeap::new(),
            order: 0,
            air: Vec::new(),
            nodes,
            gateway: Gateway::new(&plan),
            airtime_us: 0,
            delays_ms: Vec::new(),
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

    /// Run the simulation to its end.
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
        self.delays_ms.sort_unstable();
        let share = |hundredths: usize| {
            let at = self.delays_ms.len() * hundredths / 100;
            self.delays_ms.get(at).copied().unwrap_or(0)
        };
        self.report.delay_ms = (share(50), share(99));
        self.report.hours = self.now_ms as f64 / 3_600_000.0;
        self.report
    }

    pub(super) fn at(&mut self, at_ms: u64, happening: Happening) {
        self.order += 1;
        self.queue.push(Reverse((at_ms, self.order, happening)));
    }

    /// Pass a frame to a radio, as a command of the module.
    pub(super) fn transmit(&mut self, from: Option<usize>, to: Option<usize>, frame: Vec<u8>) {
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
        let meter = if let Some(index) = from {
            &mut self.nodes[index].meter
        } else {
            self.gateway.busy_until_ms = self.now_ms + u64::from(modulation.hold_ms(frame.len()));
            &mut self.gateway.meter
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
        // If two frames arrive at a receiver at once, both are lost. A radio that is sending receives nothing.
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
}
