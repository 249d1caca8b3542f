//! A backlog without rows is also read in pieces.

use crate::support::cluster::{Cluster, skip};
use crate::support::plant::{Plant, limits};
use iiot_postgres::settings::Settings;

const FRAMES: u64 = 5000;

/// This holds while the table is unknown, and when all rows are refused before they are sent.
#[test]
fn frames_without_rows_end_a_batch_too() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let admin = cluster.admin();
    admin.run("CREATE TABLE doses (time timestamptz NOT NULL, device_id text, pump integer, n boolean, value numeric)");
    let folder = tempfile::tempdir().unwrap();
    let mut plant = Plant::open(folder.path(), Settings::new(cluster.url()));
    plant.connect().unwrap();
    plant.take_numbers(10, 10 + FRAMES);
    let most = limits().rows as u64;
    assert!(most < FRAMES / 2);

    let first = plant.next().unwrap();
    assert_eq!((first.len(), first.frames() <= most + 1), (0, true));
    plant.sink.commit(&first).unwrap();
    plant.sink.rewind();
    let second = plant.next().unwrap();
    let refused = second.refused.len() as u64;
    assert!((most..most + 10).contains(&refused), "{refused}");
    plant.sink.rewind();

    assert_eq!(plant.deliver().unwrap().len() as u64, FRAMES);
}
