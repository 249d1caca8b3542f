//! Two whole nodes together. Every reading arrives once, with its time, in spite of loss, noise, dead modules and restarts.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![allow(clippy::expect_used, reason = "a test may fail by panicking")]

mod world;

use iiot_proto::mac::Key;
use iiot_proto::packet::{Action, Command, Outcome, Payload, Status};
use logic::SensorNode;
use logic::dice::Dice;
use logic::sensor_node::Start;
use proptest::prelude::*;
use world::{INTERVAL_MS, KEY, Mood, World, reading, settings, start};

/// If a fifth of all frames is lost in each direction, and bytes arrive in pieces of any size, every reading arrives once, after the info.
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

/// While the gateway node's module is dead, readings are kept. They arrive later with their age, from which their own time follows.
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

/// A node restarts as commanded, but only after the gateway node has received its answer.
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

/// A module that refuses everything and a module that never answers do not make a node hang. The next reading reports that something was wrong.
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

    /// Floods of noise between the module's lines destroy frames, but no reading is lost, and none is false.
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

/// Whenever a node restarts in the middle of a transfer, nothing is delivered twice.
#[test]
fn a_restart_in_the_middle_doubles_nothing() {
    let mut world = World::new(&[1], 30, 64);
    for number in 0..60 {
        let now_ms = world.now_ms;
        world.node(0).offer(reading(number), now_ms);
        // The restarts cover every point of the exchange.
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

/// A node stays within its duty cycle over a restart, because it keeps the level of its bucket.
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
