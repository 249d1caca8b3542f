//! Each row is stored once, whatever breaks while it is on its way.

use crate::support::PATIENCE;
use crate::support::cluster::{Admin, Cluster, skip};
use crate::support::plant::Plant;
use iiot_postgres::ErrorKind;
use iiot_postgres::settings::Settings;
use iiot_postgres::sink::State;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Rows are stored with their types, and the position behind them is in the same database.
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

fn plant(cluster: &Cluster, folder: &Path) -> Plant {
    let plant = Plant::open(folder, Settings::new(cluster.url()));
    plant.connect().unwrap();
    plant
}

/// `count|distinct|max` of the stored numbers.
fn numbers(admin: &Admin) -> String {
    admin.one("SELECT count(*), count(DISTINCT n), max(n) FROM doses")
}

/// Wait until the sink's backend waits for something of this name, and end it there.
fn terminate_at(admin: &Admin, wait_event: &str) {
    let until = Instant::now() + PATIENCE;
    let sql = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = '{wait_event}' AND pid <> pg_backend_pid()"
    );
    while admin.one(&sql).is_empty() {
        assert!(
            Instant::now() < until,
            "the backend never waited for {wait_event}"
        );
    }
}

/// A backend ends within COMMIT, after the commit is on its disk: the rows are stored, and are not sent again.
#[test]
fn a_commit_whose_answer_is_lost_is_not_repeated() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().unwrap();
    let mut plant = plant(&cluster, folder.path());
    plant.take_numbers(1, 101);
    plant.deliver().unwrap();
    let admin = cluster.admin();
    // A COMMIT that waits for a replica which is not there has already happened.
    admin.run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    admin.run("SELECT pg_reload_conf()");
    plant.take_numbers(101, 201);
    let error = std::thread::scope(|scope| {
        let delivering = scope.spawn(|| plant.deliver().unwrap_err());
        terminate_at(&admin, "SyncRep");
        delivering.join().unwrap()
    });
    assert_eq!(error.kind, ErrorKind::Wait, "{error}");
    admin.run("ALTER SYSTEM RESET synchronous_standby_names");
    admin.run("SELECT pg_reload_conf()");

    let connected = plant.connect().unwrap();
    assert_eq!((connected.state, connected.position), (State::Ahead, 201));
    plant.take_numbers(201, 301);
    plant.deliver().unwrap();

    assert_eq!(numbers(&admin), "300|300|300");
    assert_eq!(plant.journal.status().unwrap().sinks[0].delivered, 300);
}

/// A backend ends within COMMIT, before the commit happened: nothing is stored, and all rows are sent again.
#[test]
fn a_commit_that_did_not_happen_is_repeated() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().unwrap();
    let mut plant = plant(&cluster, folder.path());
    plant.take_numbers(1, 101);
    plant.deliver().unwrap();
    let admin = cluster.admin();
    admin.run(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$; \
         CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON doses DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    plant.take_numbers(101, 201);
    std::thread::scope(|scope| {
        let delivering = scope.spawn(|| plant.deliver().unwrap_err());
        terminate_at(&admin, "PgSleep");
        delivering.join().unwrap()
    });
    admin.run("DROP TRIGGER slow ON doses");

    let connected = plant.connect().unwrap();
    assert_eq!((connected.state, connected.position), (State::Same, 101));
    plant.deliver().unwrap();

    assert_eq!(numbers(&admin), "200|200|200");
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Connections that end at any moment, and a server that crashes, lose nothing and double nothing.
#[test]
fn a_storm_loses_and_doubles_nothing() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().unwrap();
    let mut plant = plant(&cluster, folder.path());
    plant.take_numbers(1, 20_001);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..3 {
                let admin = cluster.admin();
                let mut ended = 0;
                while ended < 10 && !is_over.load(Ordering::Acquire) {
                    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'iiot-gateway' AND pid <> pg_backend_pid() AND state <> 'idle'";
                    ended += admin.rows(sql).len();
                }
                if round < 2 {
                    drop(admin);
                    cluster.crash();
                    cluster.boot();
                }
            }
        });
        // Also if it fails: the other thread must end.
        let _over = Over(&is_over);
        plant.deliver_stubbornly();
    });
    assert_eq!(numbers(&cluster.admin()), "20000|20000|20000");
    let sink = plant.journal.status().unwrap().sinks[0].clone();
    assert_eq!((sink.delivered, sink.queued), (20_000, 0));
}
