//! The link between nodes and a gateway over bad channels, in simulated time.

use crate::sim::channel::Air;
use crate::sim::plan::{Plan, Protocol, Report};
use crate::sim::world::World;
use crate::sim::{LOSSES, original_plan, plan};

fn run(plan: Plan) -> Report {
    World::new(plan).run()
}

/// Conditions that must hold, whatever the channel does.
fn assert_sound(report: &Report) {
    assert_eq!(report.doubled, 0, "{report:?}");
    assert_eq!(report.false_readings, 0, "{report:?}");
    assert_eq!(report.commands_obeyed_twice, 0, "{report:?}");
    assert!(report.worst_hour_per_mille <= 100.0, "{report:?}");
    let missing = report.offered - report.lost_in_restart - report.delivered;
    assert!(
        missing <= report.dropped + 3,
        "what is missing was dropped and counted, or is still kept: {report:?}"
    );
}

/// If a fifth of all frames is lost in each direction, in bursts or not, 99.9 % of the readings arrive. None arrives twice, none is false, and each
/// has its own time.
#[test]
fn nearly_all_arrives_over_a_bad_channel() {
    for loss in LOSSES {
        for bursts in [false, true] {
            let report = run(plan(loss, bursts, 20_000));
            assert_sound(&report);
            assert!(
                loss > 20 || report.delivery() >= 0.999,
                "{loss} % {bursts}: {report:?}"
            );
            assert!(report.delivery() >= 0.99, "{loss} % {bursts}: {report:?}");
            assert!(
                report.commands_done > report.commands_unanswered,
                "{report:?}"
            );
        }
    }
}

/// The protocol of the original nodes loses as many readings as the channel loses frames, and counts doubled frames as new.
#[test]
fn one_send_loses_what_the_channel_loses() {
    let report = run(original_plan(20, false, 20_000));
    assert!((0.77..0.82).contains(&report.delivery()), "{report:?}");
    assert!(report.doubled > 0, "{report:?}");
}

/// Three nodes that measure at the same moment find different moments to send.
#[test]
fn nodes_in_step_do_not_meet_for_ever() {
    let report = run(Plan {
        in_step: true,
        ..plan(5, false, 20_000)
    });
    assert_sound(&report);
    assert!(report.delivery() >= 0.999, "{report:?}");
    assert!(report.collided * 3 < report.frames, "{report:?}");
}

/// Nodes that restart again and again lose only the readings in their memory, and no reading is doubled.
#[test]
fn restarts_double_nothing() {
    let report = run(Plan {
        restarts: Some(20),
        ..plan(20, true, 20_000)
    });
    assert_sound(&report);
    assert!(report.lost_in_restart > 0, "{report:?}");
    assert_eq!(
        report.delivered,
        report.offered - report.lost_in_restart,
        "{report:?}"
    );
}

/// After an absence of five minutes, the gateway receives all readings of this period, each with its own time.
#[test]
fn what_was_measured_in_a_silence_arrives_later() {
    let report = run(Plan {
        silence_ms: Some((600_000, 900_000)),
        ..plan(5, false, 5_000)
    });
    assert_sound(&report);
    assert_eq!(report.delivered, report.offered, "{report:?}");
}

/// After an absence of one hour, the gateway receives the newest readings. The others were dropped and counted.
#[test]
fn a_long_silence_costs_the_oldest() {
    let report = run(Plan {
        silence_ms: Some((600_000, 4_200_000)),
        ..plan(0, false, 5_000)
    });
    assert_sound(&report);
    let missing = report.offered - report.delivered;
    assert_eq!(missing, report.dropped, "{report:?}");
    assert!(
        (800..1000).contains(&missing),
        "an hour of three nodes less three outboxes: {report:?}"
    );
}

/// Where the channel allows only 1 %, a node keeps this rule even if readings are lost.
#[test]
fn the_duty_cycle_is_kept_where_it_is_narrow() {
    let narrow = iiot_proto::duty::DutyRule::eu868(868_300_000, 125_000).unwrap();
    let report = run(Plan {
        rule: narrow,
        nodes: 1,
        ..plan(20, false, 10_000)
    });
    assert!(report.worst_hour_per_mille <= 10.0, "{report:?}");
    assert_eq!(
        (report.doubled, report.false_readings),
        (0, 0),
        "{report:?}"
    );
    let relaxed = run(Plan {
        rule: narrow,
        nodes: 1,
        interval_ms: 30_000,
        ..plan(20, false, 10_000)
    });
    assert!(relaxed.worst_hour_per_mille <= 10.0, "{relaxed:?}");
    assert!(relaxed.delivery() >= 0.999, "{relaxed:?}");
}

/// A channel that doubles and damages many frames does no harm.
#[test]
fn doubled_and_damaged_frames_do_no_harm() {
    let air = Air {
        loss: 0.1,
        bursts: false,
        duplication: 0.3,
        corruption: 0.3,
    };
    let report = run(Plan {
        air,
        protocol: Protocol::Ours,
        ..plan(0, false, 20_000)
    });
    assert_sound(&report);
    assert!(
        report.damaged > 1_000 && report.repeats > 1_000,
        "{report:?}"
    );
    assert!(report.delivery() >= 0.99, "{report:?}");
}
