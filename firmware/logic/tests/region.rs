//! Both regions: the settings of the modules, the limits that are kept, and the settings that are refused.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod world;

use std::slice::from_ref;

use iiot_proto::Region;
use iiot_proto::airtime::{Bandwidth, Modulation};
use iiot_proto::rylr998::SetupError;
use logic::{GatewayNode, SensorNode, Settings};
use world::{INTERVAL_MS, World, reading, settings, start};

const HOUR_MS: u64 = 3_600_000;
/// An interval too short for a channel with a thousandth of the hour.
const HASTE_MS: u64 = 2_000;

/// The narrow channel of US915 with the longest frames that the module can still receive.
fn narrow() -> Settings {
    Settings {
        modulation: Modulation::new(9, Bandwidth::Khz125, 1, 12).unwrap(),
        ..Settings::new(1, Region::Us915)
    }
}

/// Let one node measure at this interval, for a time of `for_ms`.
fn run(settings: &Settings, loss: u32, interval_ms: u64, for_ms: u64) -> World {
    let mut world = World::of(settings, from_ref(settings), loss, 64);
    for number in 0..for_ms / interval_ms {
        let now_ms = world.now_ms;
        world.node(0).offer(reading(number as u32), now_ms);
        world.pass(interval_ms);
    }
    world
}

fn airtime_us(world: &World, from: u8, within_ms: u64) -> u64 {
    let flights = world.flights.iter();
    flights
        .filter(|flight| flight.from == from && flight.began_ms < within_ms)
        .map(|flight| u64::from(flight.airtime_us))
        .sum()
}

/// The modules on both sides get channel, modulation and power of their region.
#[test]
fn the_modules_are_told_the_region() {
    for (region, channel) in [
        (
            Region::Eu868,
            ["AT+BAND=869525000", "AT+PARAMETER=7,7,1,12", "AT+CRFOP=14"],
        ),
        (
            Region::Us915,
            ["AT+BAND=915000000", "AT+PARAMETER=9,9,1,12", "AT+CRFOP=22"],
        ),
    ] {
        let settings = Settings::new(1, region);
        let mut world = World::of(&settings, from_ref(&settings), 0, 64);
        world.pass(5_000);
        let (_, _, node) = &world.nodes[0];
        let (_, gateway) = &world.gateway;
        for (module, address) in [(node, "AT+ADDRESS=1"), (gateway, "AT+ADDRESS=2")] {
            let expected = ["AT", address, "AT+NETWORKID=18"]
                .into_iter()
                .chain(channel);
            assert!(module.told.iter().eq(expected), "{:?}", module.told);
        }
    }
}

/// If a fifth of all frames is lost in each direction, every reading arrives once, in wide and in narrow channels of US915.
#[test]
fn every_reading_arrives_once_in_us915() {
    for settings in [Settings::new(1, Region::Us915), narrow()] {
        let mut world = run(&settings, 20, INTERVAL_MS, 600_000);
        world.pass(60_000);
        let mut numbers = world.numbers(1);
        numbers.sort_unstable();
        assert_eq!(numbers, (0..60).collect::<Vec<u32>>());
    }
}

/// Where a thousandth of the hour is allowed, each radio stays within it even in the first hour. Readings that had to wait too long are counted.
#[test]
fn europe_counts_the_hour() {
    let thousandth = Settings {
        band_hz: 868_900_000,
        ..Settings::default()
    };
    let mut world = run(&thousandth, 0, HASTE_MS, HOUR_MS);
    for address in [1, 2] {
        let sent_us = airtime_us(&world, address, HOUR_MS);
        assert!((1_000_000..=3_600_000).contains(&sent_us), "{sent_us}");
    }
    let counters = world.node(0).counters();
    assert_eq!(
        counters.offered,
        counters.acknowledged + counters.dropped() + world.node(0).kept() as u32
    );
    assert!(counters.dropped() > 1_000);
}

/// US915 has no limit per hour. A node may send for twenty times as long, in frames of at most 400 ms.
#[test]
fn america_counts_only_the_transmission() {
    let world = run(&narrow(), 0, HASTE_MS, HOUR_MS / 3);
    let longest_us = world.flights.iter().map(|flight| flight.airtime_us).max();
    assert!(longest_us <= Some(400_000), "{longest_us:?}");
    assert!(airtime_us(&world, 1, HOUR_MS) > 20 * 3_600_000);
    assert_eq!(world.numbers(1).len(), 600);
}

/// A frame that is longer than the dwell time would wait for ever. Therefore a node with such a radio does not start, nor does one with a channel of
/// the other region.
#[test]
fn what_could_never_send_does_not_start() {
    let slow = Settings {
        modulation: Modulation::new(9, Bandwidth::Khz125, 4, 24).unwrap(),
        ..Settings::new(1, Region::Us915)
    };
    let stray = Settings {
        band_hz: 869_525_000,
        ..Settings::new(1, Region::Us915)
    };
    for settings in [slow, stray] {
        let error = SensorNode::new(&settings, start(1))
            .map(|_| ())
            .unwrap_err();
        assert!(
            matches!(error, SetupError::Airtime { .. } | SetupError::Band { .. }),
            "{error:?}"
        );
        assert_eq!(
            GatewayNode::new(&settings, start(1)).map(|_| ()),
            Err(error)
        );
    }
}

/// A node of the other region is not heard, and keeps its readings.
#[test]
fn another_region_is_not_heard() {
    let gateway = Settings::new(1, Region::Us915);
    let nodes = [gateway.clone(), settings(3)];
    let mut world = World::of(&gateway, &nodes, 0, 64);
    for number in 0..5 {
        let now_ms = world.now_ms;
        for index in 0..2 {
            world.node(index).offer(reading(number), now_ms);
        }
        world.pass(INTERVAL_MS);
    }
    assert_eq!(world.numbers(1).len(), 5);
    assert_eq!(world.numbers(3), []);
    assert!(airtime_us(&world, 3, HOUR_MS) > 0);
    // The node keeps its readings and its info.
    assert_eq!(world.node(1).kept(), 6);
}
