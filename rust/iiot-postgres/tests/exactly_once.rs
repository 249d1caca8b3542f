//! Each row is there once, whatever ends while it is on its way.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use iiot_postgres::settings::Settings;
use iiot_postgres::sink::State;
use support::cluster::{Cluster, skip};
use support::plant::Plant;

/// Rows go in with their types, and the position stands behind them in the same database.
#[test]
fn rows_go_in_with_their_position() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().unwrap();
    let mut plant = Plant::open(folder.path(), Settings::new(cluster.url()));
    assert_eq!(plant.connect().unwrap().state, State::New);
    plant.take_numbers(1, 2501);

    assert_eq!(plant.deliver().unwrap(), []);

    let admin = cluster.admin();
    assert_eq!(
        admin.one("SELECT count(*), count(DISTINCT n), sum(value), min(pump), pg_typeof(min(n)) FROM doses"),
        "2500|2500|3127500|0|bigint"
    );
    assert_eq!(
        admin.one("SELECT position, run FROM iiot_gateway_position"),
        format!("2501|{}", plant.journal.runs().present().unwrap().id)
    );
}
