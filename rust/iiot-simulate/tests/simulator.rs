//! The log of simulated nodes is repeatable and plausible, and its counts are exact.
#![allow(clippy::unwrap_used, reason = "tests")]

use iiot_core::{Framed, Framer, Profile, Scan};
use iiot_simulate::{Counts, Settings, SettingsError, Simulator};
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

const HOUR_NS: i64 = 3_600_000_000_000;
/// 2024-01-01T00:00:00Z.
const START_NS: i64 = 1_704_067_200_000_000_000;
const PROFILE: &str = include_str!("../../../python/iiot_gateway/profiles/lora-bridge.toml");

fn settings() -> Settings {
    Settings {
        nodes: 5,
        rate_per_s: 0.5,
        seed: 1,
        start_ns: START_NS,
    }
}

fn log(settings: Settings, readings: usize) -> (Vec<u8>, Counts) {
    let mut simulator = Simulator::new(settings).unwrap();
    let mut out = Vec::new();
    assert_eq!(simulator.advance(i64::MAX, readings, &mut out), readings);
    (out, simulator.counts())
}

/// What a gateway sees: node, boot and seq of every document, with the fingerprint of its object; its uptime and packet counter.
struct Seen {
    sequences: Vec<(String, u64, u64, u64)>,
    clocks: Vec<(u64, u64)>,
    damaged: usize,
}

fn read(log: &[u8]) -> Seen {
    let profile = Profile::parse(PROFILE).unwrap();
    let (mut framer, mut scan) = (Framer::new(65_536), Scan::new());
    let mut seen = Seen {
        sequences: Vec::new(),
        clocks: Vec::new(),
        damaged: 0,
    };
    framer.push(log);
    while let Some(framed) = framer.next() {
        let Framed::Document { bytes, .. } = framed else {
            seen.damaged += 1;
            continue;
        };
        profile.scan(bytes, &mut scan).unwrap();
        assert_eq!(scan.points(), 14);
        assert!(scan.value_faults().is_empty());
        let sequence = scan.sequences()[0];
        seen.sequences.push((
            scan.node_name(&sequence).to_owned(),
            sequence.boot.unwrap(),
            sequence.seq,
            sequence.object_hash,
        ));
        seen.clocks
            .push((scan.uptime_ms().unwrap(), scan.packet_counter().unwrap()));
    }
    seen
}

/// Five nodes, a reading every 250 seconds each.
fn two_months() -> &'static (Seen, Counts) {
    static READ: OnceLock<(Seen, Counts)> = OnceLock::new();
    READ.get_or_init(|| {
        let rate_per_s = 0.02;
        let (log, counts) = log(
            Settings {
                rate_per_s,
                ..settings()
            },
            105_000,
        );
        (read(&log), counts)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Asked for in any pieces, by time or by number, it is the same log.
    #[test]
    fn any_pieces_give_the_same_log(pieces in proptest::collection::vec((1usize..400, 1i64..HOUR_NS), 1..20)) {
        let mut simulator = Simulator::new(settings()).unwrap();
        let mut out = Vec::new();
        for (readings, step_ns) in pieces {
            let until_ns = simulator.next_ns() + step_ns;
            simulator.advance(until_ns, readings, &mut out);
            prop_assert!(simulator.next_ns() >= START_NS);
        }

        prop_assert_eq!(log(settings(), simulator.counts().readings as usize).0, out);
    }
}

#[test]
fn nothing_happens_before_its_time() {
    //! A reading each two seconds, the first at once.
    let mut simulator = Simulator::new(settings()).unwrap();
    let mut out = Vec::new();

    assert_eq!(simulator.advance(START_NS, 100, &mut out), 0);
    assert_eq!(simulator.advance(START_NS + 1, 100, &mut out), 1);
    assert_eq!(simulator.next_ns(), START_NS + 2_000_000_000);
    assert_eq!(
        simulator.advance(START_NS + 60_000_000_001, 100, &mut out),
        30
    );
}

#[test]
fn a_gateway_finds_what_the_counts_say() {
    //! Documents, repeats and what was lost on air, over two months of restarts.
    let (seen, counts) = two_months();

    assert_eq!(seen.damaged, 0);
    assert_eq!(seen.sequences.len() as u64, counts.documents);
    let heard = counts.readings - counts.lost - counts.damaged;
    assert_eq!(counts.documents, heard + counts.duplicates);
    let different: HashSet<_> = seen.sequences.iter().collect();
    assert_eq!(different.len() as u64, heard);
    let names: HashSet<_> = seen.sequences.iter().map(|s| s.0.as_str()).collect();
    assert_eq!(
        names,
        HashSet::from(["node1", "node3", "node4", "node5", "node6"])
    );
    for share in [counts.lost, counts.damaged, counts.duplicates] {
        let per_mille = share * 1_000 / counts.readings;
        assert!((1..100).contains(&per_mille), "{counts:?}");
    }
    assert!(counts.node_restarts > 5, "{counts:?}");
}

#[test]
fn the_clock_of_the_receiver_wraps_and_starts_anew() {
    //! A wrap within the first hour; a restart is known by its packet counter.
    let (Seen { clocks, .. }, counts) = two_months();

    let falls: Vec<_> = clocks.windows(2).filter(|w| w[1].0 < w[0].0).collect();
    let wraps = falls.iter().filter(|w| w[1].1 > w[0].1).count() as u64;
    assert_eq!(falls.len() as u64 - wraps, counts.receiver_restarts);
    assert!(counts.receiver_restarts > 0);
    assert!(wraps > 0);
    let first = clocks.windows(2).position(|w| w[1].0 < w[0].0).unwrap();
    assert!(first < 72, "the first hour has 72 readings");
}

#[test]
fn a_second_run_repeats_no_reading_of_the_first() {
    //! Neither one that begins a second later nor one of another seed; but the nodes are the same ones.
    let first: HashSet<_> = read(&log(settings(), 20_000).0)
        .sequences
        .into_iter()
        .collect();
    for other in [
        Settings {
            start_ns: START_NS + 1_000_000_000,
            ..settings()
        },
        Settings {
            seed: 2,
            ..settings()
        },
    ] {
        let second = read(&log(other, 20_000).0).sequences;

        assert!(second.iter().all(|reading| !first.contains(reading)));
        let boots: HashMap<_, _> = second.iter().map(|s| (s.0.clone(), s.1)).collect();
        assert!(first.iter().all(|s| boots.get(&s.0) != Some(&s.1)));
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    //! With what would be right.
    let refused = |settings| Simulator::new(settings).err().unwrap();

    assert_eq!(
        refused(Settings {
            nodes: 0,
            ..settings()
        }),
        SettingsError::Nodes(0)
    );
    for rate_per_s in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e8] {
        let error = refused(Settings {
            rate_per_s,
            ..settings()
        });
        assert!(
            error.to_string().contains("expected 0.00001 to 10000000"),
            "{error}"
        );
    }
}
