//! A device whose rows the server refuses again and again costs the others almost nothing.

use crate::support::cluster::{Admin, Cluster, skip};
use crate::support::plant::Plant;
use iiot_postgres::settings::Settings;

const TABLE: &str = "CREATE TABLE doses (time timestamptz NOT NULL, device_id text, pump integer, \
    n bigint CONSTRAINT not_of_d3 CHECK (n % 7 <> 3 OR n % 5 = 0), value numeric)";

/// Deliver 5,000 numbers in batches of 1,000. Returns the number of transactions that were rolled back, and the refused rows.
fn deliver(cluster: &Cluster, admin: &Admin, user: &str, state: &str) -> (u64, usize) {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::new(cluster.url().replace("postgres@", &format!("{user}@")));
    let mut plant = Plant::open(folder.path(), settings);
    plant.connect().unwrap();
    plant.take_numbers(1, 5001);
    let rollbacks = || {
        let running =
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'iiot-gateway'";
        while admin.one(running) != "0" {}
        let sql = "SELECT xact_rollback FROM pg_stat_database WHERE datname = 'postgres'";
        admin.one(sql).parse::<u64>().unwrap()
    };
    plant.sink.close();
    let before = rollbacks();
    plant.connect().unwrap();
    let refused = plant.deliver().unwrap();
    plant.sink.close();
    let sink = plant.journal.status().unwrap().sinks[0].clone();
    assert_eq!(sink.rejected, refused.len() as u64);
    assert_eq!(plant.journal.rejects(10_000).unwrap().len(), refused.len());
    for refusal in &refused {
        assert!(refusal.reason.contains("not_of_d3"), "{refusal:?}");
        assert!(refusal.reason.contains(state), "{refusal:?}");
        assert!(refusal.excerpt.contains(" d3 "), "{refusal:?}");
    }
    (rollbacks() - before, refused.len())
}

/// Only the first batch fails once. Every good row is stored once, and every other row is a reject with the server's words.
#[test]
fn a_suspect_aborts_one_transaction() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let admin = cluster.admin();
    admin.run(TABLE);

    assert_eq!(
        deliver(&cluster, &admin, "postgres", "SQLSTATE 23514"),
        (1, 571)
    );

    assert_eq!(
        admin.one("SELECT count(*), count(DISTINCT n) FROM doses"),
        "4429|4429"
    );
}

/// Insertion finds faults that no CHECK shows: a trigger that refuses rows, and one that corrects rows which a CHECK would refuse.
#[test]
fn what_triggers_do_to_suspects_is_seen() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let admin = cluster.admin();
    admin.run(
        "CREATE TABLE doses (time timestamptz NOT NULL, device_id text, pump integer, n bigint, value numeric, \
         CONSTRAINT mended CHECK (n % 2 = 0 OR value IS NOT NULL)); \
         CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.value = coalesce(NEW.value, 0); \
         IF NEW.n % 7 = 3 AND NEW.n % 5 <> 0 THEN RAISE EXCEPTION 'not_of_d3'; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER look BEFORE INSERT ON doses FOR EACH ROW EXECUTE FUNCTION look()",
    );

    assert_eq!(
        deliver(&cluster, &admin, "postgres", "SQLSTATE P0001"),
        (1, 571)
    );

    assert_eq!(
        admin.one("SELECT count(*), count(DISTINCT n) FROM doses"),
        "4429|4429"
    );
}

/// A role without the right to make temporary tables gets the same result, by savepoints.
#[test]
fn a_role_without_temporary_tables_gets_the_same() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let admin = cluster.admin();
    admin.run(&format!(
        "{TABLE}; REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC; CREATE ROLE writer LOGIN; GRANT INSERT ON doses TO writer; \
         {}; GRANT SELECT, INSERT, UPDATE ON iiot_gateway_position TO writer",
        iiot_postgres::position::Key::create("public")
    ));

    assert_eq!(
        deliver(&cluster, &admin, "writer", "SQLSTATE 23514"),
        (1, 571)
    );

    assert_eq!(
        admin.one("SELECT count(*), count(DISTINCT n) FROM doses"),
        "4429|4429"
    );
}
