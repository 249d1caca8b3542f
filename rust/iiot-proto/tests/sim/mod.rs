//! A simulation of nodes, gateway and air. The test of the link uses it, and so does the example that prints the table.

#![allow(dead_code, reason = "test and example each use a part")]
#![allow(clippy::unwrap_used, reason = "a simulation may fail by panicking")]

pub mod channel;
mod gateway;
mod node;
pub mod original;
pub mod plan;
pub mod world;

use channel::Air;
use iiot_proto::airtime::Modulation;
use iiot_proto::duty::{DEFAULT_EU868_HZ, DutyRule};
use plan::{Plan, Protocol};

/// The rows of the table: the loss in each direction, in percent.
pub const LOSSES: [u32; 4] = [0, 5, 20, 40];

/// The default installation: three nodes, a reading every ten seconds, the 10 % sub-band of EU868.
pub fn plan(loss_percent: u32, bursts: bool, frames: u64) -> Plan {
    let modulation = Modulation::DEFAULT;
    Plan {
        protocol: Protocol::Ours,
        air: Air::losing(f64::from(loss_percent) / 100.0, bursts),
        nodes: 3,
        interval_ms: 10_000,
        modulation,
        rule: DutyRule::eu868(DEFAULT_EU868_HZ, modulation.bandwidth().hz()).unwrap(),
        frames,
        seed: u64::from(loss_percent) * 2 + u64::from(bursts),
        in_step: false,
        restarts: None,
        silence_ms: None,
    }
}

/// The installation of the original: one node, the same channel.
pub fn original_plan(loss_percent: u32, bursts: bool, frames: u64) -> Plan {
    Plan {
        protocol: Protocol::Original,
        nodes: 1,
        ..plan(loss_percent, bursts, frames)
    }
}
