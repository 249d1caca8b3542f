//! Sensor nodes and the gateway node, each with a module that answers as the real one does, in one air; time passes only where the test lets it.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![allow(clippy::expect_used, reason = "a test may fail by panicking")]

use std::collections::VecDeque;

use iiot_proto::Region;
use iiot_proto::airtime::Modulation;
use iiot_proto::mac::Key;
use iiot_proto::packet::{Action, Command, Outcome, Payload, Reading, ResetCause, Status};
use iiot_proto::rylr998::MAX_COMMAND_BYTES;
use logic::dice::Dice;
use logic::gateway_node::Delivery;
use logic::sensor_node::Start;
use logic::settings::Settings;
use logic::{GatewayNode, Next, SensorNode};
use proptest::prelude::*;

const KEY: [u8; 16] = *b"sixteen bytes ok";
const INTERVAL_MS: u64 = 10_000;

/// What a module does with what it is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Well,
    Mute,
    Refusing,
}

/// A module's side of the UART: what it will say, and when.
struct Module {
    mood: Mood,
    says: VecDeque<(u64, Vec<u8>)>,
    /// Bytes are given to the node in pieces of this size.
    piece: usize,
}

impl Module {
    fn new(piece: usize) -> Self {
        Self {
            mood: Mood::Well,
            says: VecDeque::new(),
            piece,
        }
    }

    fn say(&mut self, at_ms: u64, bytes: &[u8]) {
        self.says.push_back((at_ms, bytes.to_vec()));
    }

    /// Answer a command; returns what goes on air, and to whom.
    fn take(&mut self, now_ms: u64, command: &[u8]) -> Option<(u8, Vec<u8>)> {
        match self.mood {
            Mood::Mute => None,
            Mood::Refusing => {
                self.say(now_ms + 1, b"+ERR=4\r\n");
                None
            }
            Mood::Well if command == b"AT+RESET\r\n" => {
                self.say(now_ms + 1, b"+RESET\r\n+READY\r\n");
                None
            }
            Mood::Well => {
                self.say(now_ms + 1, b"+OK\r\n");
                let rest = command.strip_prefix(b"AT+SEND=")?;
                let mut fields = rest.splitn(3, |byte| *byte == b',');
                let to = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
                let _length = fields.next()?;
                Some((to, fields.next()?.strip_suffix(b"\r\n")?.to_vec()))
            }
        }
    }
}

struct World {
    now_ms: u64,
    dice: Dice,
    gateway: (GatewayNode, Module),
    nodes: Vec<(u8, SensorNode, Module)>,
    delivered: Vec<Delivery>,
    /// When each was.
    delivered_ms: Vec<u64>,
    /// Frames that are lost, of a hundred.
    loss: u32,
    frames: usize,
}

fn start(boot: u16) -> Start {
    Start {
        boot,
        reset_cause: ResetCause::PowerOn,
        duty_level_us: None,
    }
}

fn settings(address: u8) -> Settings {
    Settings {
        key: Some(Key::new(KEY)),
        ..Settings::new(address, Region::Eu868)
    }
}

fn reading(number: u32) -> Reading {
    Reading {
        temperature_centidegrees: Some(2_000),
        gas_resistance_ohm: Some(number),
        ..Reading::default()
    }
}

impl World {
    fn new(addresses: &[u8], loss: u32, piece: usize) -> Self {
        Self {
            now_ms: 0,
            dice: Dice::new(7),
            gateway: (
                GatewayNode::new(&Settings::default(), start(9)).unwrap(),
                Module::new(piece),
            ),
            nodes: addresses
                .iter()
                .map(|address| {
                    let node =
                        SensorNode::new(&settings(*address), start(100 + u16::from(*address)))
                            .unwrap();
                    (*address, node, Module::new(piece))
                })
                .collect(),
            delivered: Vec::new(),
            delivered_ms: Vec::new(),
            loss,
            frames: 0,
        }
    }

    /// Let time pass, a millisecond at a time.
    fn pass(&mut self, for_ms: u64) {
        for _ in 0..for_ms {
            self.now_ms += 1;
            self.step();
        }
    }

    fn step(&mut self) {
        let now_ms = self.now_ms;
        let mut out = [0; MAX_COMMAND_BYTES];
        let mut air = Vec::new();
        for (address, node, module) in &mut self.nodes {
            while module
                .says
                .front()
                .is_some_and(|(at_ms, _)| *at_ms <= now_ms)
            {
                let (_, bytes) = module.says.pop_front().unwrap();
                for piece in bytes.chunks(module.piece) {
                    node.feed(piece, now_ms, &mut self.dice);
                }
            }
            while let Next::Write { bytes } = node.poll(now_ms, &mut self.dice, &mut out) {
                if let Some((to, frame)) = module.take(now_ms, &out[..bytes]) {
                    air.push((*address, to, frame));
                }
            }
        }
        let (gateway, module) = &mut self.gateway;
        while module
            .says
            .front()
            .is_some_and(|(at_ms, _)| *at_ms <= now_ms)
        {
            let (_, bytes) = module.says.pop_front().unwrap();
            for piece in bytes.chunks(module.piece) {
                gateway.feed(piece, now_ms);
            }
        }
        while let Next::Write { bytes } = gateway.poll(now_ms, &mut out) {
            if let Some((to, frame)) = module.take(now_ms, &out[..bytes]) {
                air.push((2, to, frame));
            }
        }
        while let Some(delivery) = gateway.take_delivery() {
            self.delivered.push(delivery);
            self.delivered_ms.push(now_ms);
        }
        for (from, to, frame) in air {
            self.frames += 1;
            if self.dice.bits() % 100 < self.loss {
                continue;
            }
            let at_ms = now_ms + u64::from(Modulation::DEFAULT.airtime_ms(frame.len()));
            let mut said = format!("+RCV={from},{},", frame.len()).into_bytes();
            said.extend_from_slice(&frame);
            said.extend_from_slice(b",-60,9\r\n");
            if to == 2 {
                if module.mood != Mood::Mute {
                    module.say(at_ms, &said);
                }
            } else if let Some((_, _, module)) =
                self.nodes.iter_mut().find(|(address, ..)| *address == to)
            {
                module.say(at_ms, &said);
            }
        }
    }

    fn node(&mut self, index: usize) -> &mut SensorNode {
        &mut self.nodes[index].1
    }

    /// The numbers of the readings that arrived of a node.
    fn numbers(&self, address: u8) -> Vec<u32> {
        let of_node = self
            .delivered
            .iter()
            .filter(|delivery| delivery.packet.header.src == address);
        of_node
            .filter_map(|delivery| match delivery.packet.payload {
                Payload::Reading(reading) => reading.gas_resistance_ohm,
                _ => None,
            })
            .collect()
    }
}

/// A fifth of all frames lost each way, bytes in any pieces: every reading arrives once, after what the node is.
#[test]
fn every_reading_arrives_once() {
    for piece in [1, 5, 64] {
        let mut world = World::new(&[1, 3], 20, piece);
        for number in 0..100 {
            let now_ms = world.now_ms;
            for index in 0..2 {
                world.node(index).offer(reading(number), now_ms);
            }
            world.pass(INTERVAL_MS);
        }
        world.pass(60_000);
        for address in [1, 3] {
            let mut numbers = world.numbers(address);
            numbers.sort_unstable();
            assert_eq!(numbers, (0..100).collect::<Vec<u32>>(), "node {address}");
            let first = world
                .delivered
                .iter()
                .find(|delivery| delivery.packet.header.src == address);
            assert!(matches!(
                first.map(|delivery| delivery.packet.payload),
                Some(Payload::Info(_))
            ));
        }
        assert_eq!(world.gateway.0.counters().damaged, 0);
    }
}

/// While the gateway's module is dead readings are kept, and come later with the age that gives them their own time.
#[test]
fn what_waited_comes_with_its_age() {
    let mut world = World::new(&[1], 0, 64);
    world.pass(5_000);
    world.gateway.1.mood = Mood::Mute;
    let mut measured_ms = Vec::new();
    for number in 0..20 {
        let now_ms = world.now_ms;
        measured_ms.push(now_ms);
        world.node(0).offer(reading(number), now_ms);
        world.pass(INTERVAL_MS);
    }
    assert_eq!(world.numbers(1), []);
    world.gateway.1.mood = Mood::Well;
    world.pass(240_000);

    let mut seen = 0;
    for (delivery, at_ms) in world.delivered.iter().zip(&world.delivered_ms) {
        if let Payload::Reading(reading) = delivery.packet.payload {
            let number = reading.gas_resistance_ohm.unwrap();
            let own_ms = at_ms - u64::from(reading.age_ms);
            let late_ms = own_ms - measured_ms[number as usize];
            assert!(late_ms < 200, "reading {number} is {late_ms} ms off");
            seen += 1;
        }
    }
    assert_eq!(seen, 20);
}

/// A command is obeyed once, in the window after an acknowledgement, and its answer comes back.
#[test]
fn a_command_is_obeyed_and_answered() {
    let mut world = World::new(&[1], 20, 64);
    world.pass(5_000);
    let action = Action::SetInterval { interval_s: 30 };
    let command = Command::sign(&Key::new(KEY), 1, 101, 60, 1, action);
    let until_ms = world.now_ms + 600_000;
    world.gateway.0.order(1, command, until_ms).unwrap();
    for number in 0..10 {
        let now_ms = world.now_ms;
        world.node(0).offer(reading(number), now_ms);
        world.pass(INTERVAL_MS);
    }
    assert_eq!(world.node(0).interval_s(), 30);
    let answers: Vec<_> = world
        .delivered
        .iter()
        .filter_map(|delivery| match delivery.packet.payload {
            Payload::Answer(answer) => Some((answer.outcome, answer.value)),
            _ => None,
        })
        .collect();
    assert_eq!(answers, [(Outcome::Done, 30)]);
}

/// A node that was told to start anew does so once the gateway has its answer.
#[test]
fn a_reboot_waits_for_its_answer() {
    let mut world = World::new(&[1], 0, 64);
    world.pass(5_000);
    let command = Command::sign(&Key::new(KEY), 1, 101, 60, 1, Action::Reboot);
    let until_ms = world.now_ms + 600_000;
    world.gateway.0.order(1, command, until_ms).unwrap();
    let now_ms = world.now_ms;
    world.node(0).offer(reading(1), now_ms);
    let is_answered = |world: &World| {
        let payloads = world
            .delivered
            .iter()
            .map(|delivery| delivery.packet.payload);
        payloads
            .into_iter()
            .any(|payload| matches!(payload, Payload::Answer(_)))
    };
    while !is_answered(&world) {
        let now_ms = world.now_ms;
        assert!(!world.node(0).is_reboot_due(now_ms));
        world.pass(1);
    }
    world.pass(500);
    let now_ms = world.now_ms;
    assert!(world.node(0).is_reboot_due(now_ms));
}

/// A module that refuses everything and one that answers nothing hang nobody; the next reading says that something was wrong.
#[test]
fn a_bad_module_hangs_nobody() {
    for mood in [Mood::Mute, Mood::Refusing] {
        let mut world = World::new(&[1], 0, 64);
        world.nodes[0].2.mood = mood;
        for number in 0..30 {
            let now_ms = world.now_ms;
            world.node(0).offer(reading(number), now_ms);
            world.pass(INTERVAL_MS);
        }
        assert_eq!(world.numbers(1), []);
        world.nodes[0].2.mood = Mood::Well;
        world.pass(300_000);
        let mut numbers = world.numbers(1);
        numbers.sort_unstable();
        assert_eq!(numbers, (0..30).collect::<Vec<u32>>());
        let told = world.delivered.iter().any(|delivery| {
            matches!(delivery.packet.payload, Payload::Reading(reading) if reading.status.has(Status::RADIO_REFUSED))
        });
        assert!(told, "nobody was told");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Floods of noise between the module's lines cost frames, never a reading, and never bring a false one.
    #[test]
    fn noise_brings_no_false_reading(noise in prop::collection::vec(any::<u8>(), 1..2_000), seed in any::<u64>()) {
        let mut world = World::new(&[1], 0, 7);
        world.dice = Dice::new(seed);
        for number in 0..10 {
            let now_ms = world.now_ms;
            world.gateway.1.say(now_ms, &noise);
            world.nodes[0].2.say(now_ms, &noise);
            world.node(0).offer(reading(number), now_ms);
            world.pass(INTERVAL_MS);
        }
        world.pass(120_000);
        let mut numbers = world.numbers(1);
        numbers.sort_unstable();
        prop_assert_eq!(numbers, (0..10).collect::<Vec<u32>>());
    }
}

/// However many nodes restart in the middle of a transfer, nothing is delivered twice.
#[test]
fn a_restart_in_the_middle_doubles_nothing() {
    let mut world = World::new(&[1], 30, 64);
    for number in 0..60 {
        let now_ms = world.now_ms;
        world.node(0).offer(reading(number), now_ms);
        // At every point of the exchange once.
        world.pass(u64::from(number) * 7);
        if number % 3 == 0 {
            let boot = 1_000 + number as u16;
            world.nodes[0].1 = SensorNode::new(&settings(1), start(boot)).unwrap();
        }
        world.pass(INTERVAL_MS);
    }
    let mut numbers = world.numbers(1);
    numbers.sort_unstable();
    let all = numbers.len();
    numbers.dedup();
    assert_eq!(numbers.len(), all);
    assert!(all >= 40, "{all} of 60");
}

/// A node keeps within its duty cycle over a restart, because it takes its bucket along.
#[test]
fn the_duty_bucket_is_taken_along() {
    let mut world = World::new(&[1], 0, 64);
    for number in 0..200 {
        let now_ms = world.now_ms;
        world.node(0).offer(reading(number), now_ms);
        world.pass(500);
    }
    let now_ms = world.now_ms;
    let level_us = world.node(0).duty_level_us(now_ms);
    let mut again = SensorNode::new(
        &settings(1),
        Start {
            duty_level_us: Some(level_us),
            ..start(77)
        },
    )
    .unwrap();
    assert!(level_us < 60_000_000);
    assert_eq!(again.duty_level_us(0), level_us);
}
