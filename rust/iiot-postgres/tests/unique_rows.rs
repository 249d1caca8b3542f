//! Two gateways that receive the same messages write each row once.

use crate::support::cluster::{Cluster, skip};
use crate::support::plant::{Plant, numbered};
use iiot_postgres::rows::RowOptions;
use iiot_postgres::settings::Settings;
use iiot_postgres::sink::Outcome;
use std::path::Path;

fn gateway(cluster: &Cluster, folder: &Path) -> Plant {
    let options = RowOptions {
        unique: true,
        ..RowOptions::default()
    };
    let plant = Plant::open_with(folder, Settings::new(cluster.url()), options);
    plant.connect().unwrap();
    plant
}

/// Deliver all frames. Returns how many rows already existed.
fn deliver(plant: &Plant) -> u64 {
    let mut repeated = 0;
    while let Some(rows) = plant.next() {
        match plant.sink.commit(&rows).unwrap() {
            Outcome::ReadAgain => plant.sink.rewind(),
            Outcome::Committed(done) => {
                plant.sink.confirm(&rows, &done.refused, true).unwrap();
                repeated += done.repeated;
            }
        }
    }
    repeated
}

/// A message that both received is stored once. A message that only one received, and another value at the same time, are stored too.
#[test]
fn a_message_that_two_gateways_received_is_one_row() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut one = gateway(&cluster, here.path());
    let mut other = gateway(&cluster, there.path());
    one.take_numbers(1, 101);
    other.take_numbers(51, 151);
    // The same second and device, and another value.
    other.take(&[numbered("doses", 7).replace("7.50", "8.50")]);
    assert_eq!(deliver(&one), 0);
    assert_eq!(deliver(&other), 50);

    let admin = cluster.admin();
    assert_eq!(
        admin.one("SELECT count(*), count(DISTINCT n), count(*) FILTER (WHERE n = 7) FROM doses"),
        "151|150|2"
    );
    assert_eq!(other.journal.status().unwrap().sinks[0].delivered, 101);
}

/// An existing table gets a column for the digest, and keeps its rows. Refused rows are still named.
#[test]
fn a_table_that_is_there_gets_the_key() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let admin = cluster.admin();
    admin.run(
        "CREATE TABLE doses (time timestamptz NOT NULL, device_id text, pump integer, n bigint CHECK (n <> 13), value numeric); \
         INSERT INTO doses SELECT now(), 'old', 1, 1, 1 FROM generate_series(1, 3)",
    );
    let folder = tempfile::tempdir().unwrap();
    let mut plant = gateway(&cluster, folder.path());
    plant.take_numbers(1, 101);

    let refused = plant.deliver().unwrap();

    assert_eq!(refused.len(), 1);
    assert!(refused[0].reason.contains("doses_n_check"), "{refused:?}");
    assert_eq!(
        admin.one("SELECT count(*), count(content_id) FROM doses"),
        "102|99"
    );
}
