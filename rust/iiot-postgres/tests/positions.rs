//! Database and journal disagree on the position of the sink.

use crate::support::PATIENCE;
use crate::support::cluster::{Admin, Cluster, skip};
use crate::support::plant::Plant;
use iiot_postgres::ErrorKind;
use iiot_postgres::settings::Settings;
use iiot_postgres::sink::{Outcome, State};
use std::path::{Path, PathBuf};
use std::time::Instant;

fn open(cluster: &Cluster, folder: &Path) -> Plant {
    Plant::open(folder, Settings::new(cluster.url()))
}

fn numbers(admin: &Admin) -> String {
    admin.one("SELECT count(*), count(DISTINCT n), max(n) FROM doses")
}

/// Copy the file and its log in their present state, as a loss of power or a careless backup would leave them.
fn copy(folder: &Path, name: &str) -> PathBuf {
    let copied = folder.join(name);
    std::fs::create_dir(&copied).unwrap();
    for file in ["journal.db", "journal.db-wal"] {
        if folder.join(file).exists() {
            std::fs::copy(folder.join(file), copied.join(file)).unwrap();
        }
    }
    copied
}

/// A gateway that is killed between COMMIT and confirmation finds its rows in the database.
#[test]
fn a_kill_after_the_commit_is_made_up_for() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().unwrap();
    let killed = {
        let mut plant = open(&cluster, folder.path());
        plant.connect().unwrap();
        plant.take_numbers(1, 51);
        let rows = plant.next().unwrap();
        plant.sink.commit(&rows).unwrap();
        plant.sink.rewind();
        let rows = plant.next().unwrap();
        plant.sink.commit(&rows).unwrap();
        copy(folder.path(), "killed")
    };

    let plant = open(&cluster, &killed);
    let connected = plant.connect().unwrap();
    assert_eq!((connected.state, connected.position), (State::Ahead, 51));
    plant.deliver().unwrap();

    assert_eq!(numbers(&cluster.admin()), "50|50|50");
    assert_eq!(plant.journal.status().unwrap().sinks[0].delivered, 50);
}

/// Rows that the database refused are rejects even if the gateway was killed before it could confirm them: once each, with the server's words.
#[test]
fn a_kill_after_the_commit_keeps_the_rejects() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    cluster
        .admin()
        .run("CREATE TABLE doses (time timestamptz NOT NULL, n bigint CONSTRAINT odd CHECK (n % 10 <> 0), pump smallint)");
    let folder = tempfile::tempdir().unwrap();
    let killed = {
        let mut plant = open(&cluster, folder.path());
        plant.connect().unwrap();
        plant.take_numbers(1, 51);
        plant.take(&[
            r#"{"table":"doses","device":"a","pump":"left","n":51,"at":1780000000}"#.into(),
        ]);
        let rows = plant.next().unwrap();
        assert_eq!(plant.sink.commit(&rows).unwrap(), Outcome::ReadAgain);
        plant.sink.rewind();
        let rows = plant.next().unwrap();
        plant.sink.commit(&rows).unwrap();
        assert_eq!(plant.journal.rejects(100).unwrap(), []);
        copy(folder.path(), "killed")
    };

    let plant = open(&cluster, &killed);
    assert_eq!(plant.connect().unwrap().state, State::Ahead);

    let rejects = plant.journal.rejects(100).unwrap();
    assert_eq!(rejects.len(), 6);
    assert!(
        rejects
            .iter()
            .filter(|reject| reject.reason.contains("odd"))
            .count()
            == 5,
        "{rejects:?}"
    );
    assert!(
        rejects
            .iter()
            .any(|reject| reject.reason.contains("cannot hold \"left\"")),
        "{rejects:?}"
    );
    let sink = plant.journal.status().unwrap().sinks[0].clone();
    assert_eq!((sink.delivered, sink.rejected, sink.queued), (45, 6, 0));
    assert_eq!(numbers(&cluster.admin()), "45|45|49");
}

/// A journal that lost its end continues there. New frames get the numbers of the lost ones, and are written too.
#[test]
fn a_shortened_journal_goes_on_at_its_end() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().unwrap();
    let shortened = {
        let mut plant = open(&cluster, folder.path());
        plant.connect().unwrap();
        plant.take_numbers(1, 101);
        plant.deliver().unwrap();
        let shortened = copy(folder.path(), "shortened");
        plant.take_numbers(101, 151);
        plant.deliver().unwrap();
        shortened
    };

    let mut plant = open(&cluster, &shortened);
    plant.take_numbers(1001, 1081);
    let connected = plant.connect().unwrap();
    assert_eq!(
        (connected.state, connected.position, connected.lost_here),
        (State::Same, 101, 50)
    );
    plant.deliver().unwrap();

    assert_eq!(numbers(&cluster.admin()), "230|230|1080");
}

/// A restored database gets again all frames that the journal still has. The others are counted, with their range.
#[test]
fn a_restored_database_is_caught_up_with() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().unwrap();
    let mut plant = open(&cluster, folder.path());
    plant.connect().unwrap();
    plant.take_numbers(1, 101);
    plant.deliver().unwrap();
    let admin = cluster.admin();
    // The content of an older backup.
    admin.run("CREATE TABLE backup AS TABLE doses; CREATE TABLE backup_position AS TABLE iiot_gateway_position");
    plant.take_numbers(101, 301);
    plant.deliver().unwrap();
    admin.run("TRUNCATE doses; INSERT INTO doses TABLE backup; DELETE FROM iiot_gateway_position; INSERT INTO iiot_gateway_position TABLE backup_position");

    let connected = plant.connect().unwrap();
    assert_eq!((connected.state, connected.position), (State::Behind, 101));
    assert!(connected.lost.is_empty());
    plant.deliver().unwrap();

    assert_eq!(numbers(&admin), "300|300|300");
}

/// A replica that was behind when it took over gets the missing rows, and is found by its place in the URL. While it only reads, the sink waits.
#[test]
fn a_failover_to_a_replica_that_is_behind_loses_nothing() {
    if skip() {
        return;
    }
    let access = "host all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n";
    let primary = Cluster::start_with("", access, |_| ());
    let folder = tempfile::tempdir().unwrap();
    let replica = primary.replica();
    let url = format!(
        "postgresql://postgres@127.0.0.1:{},127.0.0.1:{}/postgres",
        primary.port, replica.port
    );
    let mut plant = Plant::open(folder.path(), Settings::new(url));
    plant.connect().unwrap();
    plant.take_numbers(1, 101);
    plant.deliver().unwrap();
    let admin = primary.admin();
    let has_all =
        "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn()";
    let until = Instant::now() + PATIENCE;
    while admin.one(has_all) != "1" {
        assert!(Instant::now() < until, "the replica does not catch up");
    }
    replica.crash();
    plant.take_numbers(101, 201);
    plant.deliver().unwrap();
    primary.crash();

    let error = plant.connect().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Wait, "{error}");
    replica.boot();
    let error = plant.connect().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Wait, "{error}");
    replica.promote();
    let connected = plant.connect().unwrap();
    assert_eq!((connected.state, connected.position), (State::Behind, 101));
    plant.deliver().unwrap();

    assert_eq!(numbers(&replica.admin()), "200|200|200");
}

/// Frames that the journal has pruned meanwhile are reported as lost by the peer, and the sink continues behind them.
#[test]
fn what_is_gone_on_both_sides_is_counted() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().unwrap();
    let mut plant = Plant::open_keeping(folder.path(), Settings::new(cluster.url()), 0);
    plant.connect().unwrap();
    plant.take_numbers(1, 101);
    plant.deliver().unwrap();
    let admin = cluster.admin();
    admin.run("DELETE FROM doses WHERE n > 40; UPDATE iiot_gateway_position SET position = 41");

    let connected = plant.connect().unwrap();

    assert_eq!((connected.state, connected.lost), (State::Behind, 41..101));
    assert_eq!(plant.journal.status().unwrap().lost_by_peer["db"], 60);
    plant.take_numbers(101, 111);
    plant.deliver().unwrap();
    assert_eq!(numbers(&admin), "50|50|110");
}

/// A copy of a journal stops when it finds the original's rows, and continues after `adopt`; then the original stops.
#[test]
fn a_clone_stops_until_it_is_adopted() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().unwrap();
    {
        let mut plant = open(&cluster, folder.path());
        plant.connect().unwrap();
        plant.take_numbers(1, 11);
        plant.deliver().unwrap();
    }
    let copied = copy(folder.path(), "clone");
    let mut original = open(&cluster, folder.path());
    let mut clone = open(&cluster, &copied);
    original.take_numbers(11, 21);
    clone.take_numbers(101, 111);
    original.connect().unwrap();
    original.deliver().unwrap();

    let error = clone.connect().unwrap_err();
    assert_eq!(error.kind, ErrorKind::UnknownRun);
    assert!(error.to_string().contains("postgresql adopt"), "{error}");

    assert_eq!(clone.sink.adopt().unwrap(), 11);
    assert_eq!(clone.connect().unwrap().position, 11);
    clone.deliver().unwrap();
    original.take_numbers(21, 31);
    let moved = original.deliver().unwrap_err();
    assert_eq!(moved.kind, ErrorKind::Moved, "{moved}");
    assert_eq!(original.connect().unwrap_err().kind, ErrorKind::UnknownRun);

    assert_eq!(numbers(&cluster.admin()), "30|30|110");
}

/// A new database gets all frames that the journal still has, and the first position is reported.
#[test]
fn a_new_database_gets_what_the_journal_has() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().unwrap();
    let mut plant = open(&cluster, folder.path());
    plant.connect().unwrap();
    plant.take_numbers(1, 101);
    plant.deliver().unwrap();
    let admin = cluster.admin();
    admin.run("DROP TABLE iiot_gateway_position, doses");

    let connected = plant.connect().unwrap();
    assert_eq!((connected.state, connected.position), (State::New, 1));
    plant.deliver().unwrap();

    assert_eq!(numbers(&admin), "100|100|100");
    let sink = plant.journal.status().unwrap().sinks[0].clone();
    assert_eq!((sink.accepted, sink.delivered), (100, 100));
}
