//! The replacements for the extension: partitions, `time_bucket`, roll-ups.

use crate::support::cluster::{Cluster, skip};
use crate::support::plant::{Plant, numbered};
use iiot_postgres::plain;
use iiot_postgres::roll_up::RollUp;
use iiot_postgres::rows::RowOptions;
use iiot_postgres::settings::Settings;

fn fixed() -> RowOptions {
    RowOptions {
        manage: false,
        ..RowOptions::default()
    }
}

const DOSES: &str = "CREATE TABLE doses (time timestamptz NOT NULL, device_id text, pump integer, n bigint, value double precision) PARTITION BY RANGE (time)";

/// Rows of past weeks get a partition, even between partitions that another client made, and the next week has one before it begins.
#[test]
fn partitions_are_there_before_their_rows() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let admin = cluster.admin();
    admin.run(&format!(
        "{DOSES}; CREATE TABLE doses_may PARTITION OF doses FOR VALUES FROM ('2026-05-01') TO ('2026-06-01'); \
         CREATE TABLE doses_ages PARTITION OF doses FOR VALUES FROM (MINVALUE) TO ('2021-01-01')"
    ));
    let folder = tempfile::tempdir().unwrap();
    let mut plant = Plant::open(folder.path(), Settings::new(cluster.url()));
    plant.connect().unwrap();
    let at = [
        1_577_900_000,
        1_700_000_000,
        1_780_000_000,
        1_780_268_400,
        1_780_300_000,
    ];
    let documents: Vec<String> = at
        .iter()
        .map(|at| format!(r#"{{"table":"doses","device":"a","n":1,"at":{at}}}"#))
        .collect();
    plant.take(&documents);
    assert_eq!(plant.deliver().unwrap(), []);

    assert_eq!(
        admin.rows("SELECT tableoid::regclass FROM doses ORDER BY time"),
        [
            "doses_ages",
            "doses_20231113",
            "doses_may",
            "doses_20260531_79200",
            "doses_20260601"
        ]
    );
    let ahead = plain::times_of_week(plain::week(iiot_journal::now_ns() / 1000) + 1).0;
    let name = plain::partition_name("doses", ahead);
    assert_eq!(
        admin.one(&format!(
            "SELECT count(*) FROM pg_class WHERE relname = '{name}'"
        )),
        "1"
    );
}

/// A role that may only write gets its partitions by a function, and can make nothing else with the function.
#[test]
fn a_writer_without_rights_gets_its_partitions() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let admin = cluster.admin();
    admin.run(&format!(
        "{DOSES}; {}; CREATE ROLE writer LOGIN; GRANT INSERT ON doses TO writer; {}; GRANT SELECT, INSERT, UPDATE ON iiot_gateway_position TO writer; \
         GRANT EXECUTE ON FUNCTION public.iiot_gateway_add_partition TO writer",
        plain::partition_function("public"),
        iiot_postgres::position::Key::create("public")
    ));
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::new(cluster.url().replace("postgres@", "writer@"));
    let mut plant = Plant::open(folder.path(), settings);
    plant.connect().unwrap();
    plant.take_numbers(1, 11);
    assert_eq!(plant.deliver().unwrap(), []);
    assert_eq!(admin.one("SELECT count(*) FROM doses"), "10");
}

/// If the gateway makes no partitions, a row without one is a reject. If it makes them, a dropped partition is made again.
#[test]
fn a_row_without_a_partition_is_a_reject_or_gets_one() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let admin = cluster.admin();
    admin.run(&format!(
        "{DOSES}; CREATE TABLE doses_may PARTITION OF doses FOR VALUES FROM ('2026-05-01') TO ('2026-06-01')"
    ));
    let folder = tempfile::tempdir().unwrap();
    let mut plant = Plant::open_with(folder.path(), Settings::new(cluster.url()), fixed());
    plant.connect().unwrap();
    plant.take(&[
        numbered("doses", 1),
        r#"{"table":"doses","device":"a","n":2,"at":1700000000}"#.into(),
        numbered("doses", 3),
    ]);
    let refused = plant.deliver().unwrap();
    assert_eq!(refused.len(), 1);
    assert!(
        refused[0].reason.contains("no partition of relation"),
        "{refused:?}"
    );
    assert_eq!(admin.one("SELECT count(*) FROM doses"), "2");

    let folder = tempfile::tempdir().unwrap();
    let mut plant = Plant::open(folder.path(), Settings::new(cluster.url()));
    plant.connect().unwrap();
    plant.take_numbers(1, 11);
    plant.deliver().unwrap();
    admin.run("DROP TABLE doses_may");
    plant.take_numbers(11, 21);
    let error = plant.deliver().unwrap_err();
    assert_eq!(error.kind, iiot_postgres::ErrorKind::Wait, "{error}");
    plant.connect().unwrap();
    assert_eq!(plant.deliver().unwrap(), []);
    assert_eq!(admin.one("SELECT count(*) FROM doses"), "10");
}

/// Schemas and tables whose names need quotes have partitions and roll-ups like any other.
#[test]
fn names_that_need_quotes_have_all_of_it() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let admin = cluster.admin();
    let schema = "My \"plant\"; 'x'";
    let quoted = iiot_postgres::names::qualified(schema, "Dose's");
    admin.run(&format!(
        "CREATE SCHEMA {}; CREATE TABLE {quoted} (time timestamptz NOT NULL, device_id text, n bigint, value double precision) PARTITION BY RANGE (time); {}; {}",
        iiot_postgres::names::quoted(schema),
        plain::time_bucket(schema, 150_000),
        plain::partition_function(schema)
    ));
    let roll_up = RollUp {
        schema,
        table: "Dose's",
        view: "Per \"hour\"",
        by: &["device_id"],
        count: "Number",
        sums: &[("value", "It's all", "")],
    };
    for statement in roll_up.statements() {
        admin.run(&statement);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::new(cluster.url());
    settings.schema = schema.into();
    let mut plant = Plant::open_with(folder.path(), settings, fixed());
    plant.connect().unwrap();
    plant.take(&[numbered("Dose's", 1), numbered("Dose's", 8)]);
    assert_eq!(plant.deliver().unwrap(), []);
    let view = iiot_postgres::names::qualified(schema, "Per \"hour\"");
    assert_eq!(
        admin.one(&format!(
            "SELECT device_id, \"Number\", \"It's all\" FROM {view}"
        )),
        "d1|2|10"
    );
}

/// A partition past its retention is dropped by name; a default partition takes everything else.
#[test]
fn old_partitions_are_listed_with_their_times() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let admin = cluster.admin();
    admin.run(DOSES);
    let old = plain::times_of_week(plain::week(1_700_000_000_000_000));
    admin.run(&plain::add_partition("public", "doses", old));
    let listed = admin.rows(&plain::partitions("public", "doses"));
    assert_eq!(listed, [format!("doses_20231113|{}|{}", old.0, old.1)]);
    admin.run(&plain::drop_partition("public", "doses_20231113"));
    assert_eq!(admin.rows(&plain::partitions("public", "doses")), [""; 0]);
    admin.run("CREATE TABLE rest PARTITION OF doses DEFAULT");
    assert_eq!(
        admin.rows(&plain::partitions("public", "doses")),
        ["rest||"]
    );
}

/// `time_bucket` gives what TimescaleDB gives, and is inlined, whatever the session's time zone.
#[test]
fn time_bucket_is_that_of_the_extension() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let admin = cluster.admin();
    for version in [150_000, 130_000] {
        admin.run(&plain::time_bucket("public", version));
        // The results of TimescaleDB 2.28.
        for (width, time, bucket) in [
            ("1 hour", "2026-11-29 09:59:59.999+00", "2026-11-29 09:00"),
            ("15 minutes", "2026-11-29 09:59:59+00", "2026-11-29 09:45"),
            ("1 day", "2026-11-29 23:59:59+00", "2026-11-29 00:00"),
            ("1 week", "2026-11-29 09:00:00+00", "2026-11-23 00:00"),
            ("1 week", "1999-12-31 00:00:00+00", "1999-12-27 00:00"),
            ("1 month", "2026-11-29 09:00:00+00", "2026-11-01 00:00"),
            ("3 months", "2026-11-29 09:00:00+00", "2026-10-01 00:00"),
            ("1 year", "1999-11-29 09:00:00+00", "1999-01-01 00:00"),
        ] {
            let sql = format!(
                "SELECT to_char(time_bucket('{width}', '{time}') AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')"
            );
            assert_eq!(admin.one(&sql), bucket, "{version}: {width} of {time}");
        }
    }
    let plan = admin.rows("EXPLAIN VERBOSE SELECT time_bucket('1 hour', now() + g * interval '1 s') FROM generate_series(1, 2) g");
    assert!(!plan.join(" ").contains("time_bucket("), "{plan:?}");
}

/// The roll-up counts each row once, in the transaction that inserts it: late ones, refused ones, and those that a lost connection sent twice.
#[test]
fn a_roll_up_counts_what_is_in() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let admin = cluster.admin();
    admin.run(DOSES);
    admin.run("ALTER TABLE doses ADD CHECK (n <> 500)");
    let roll_up = RollUp {
        schema: "public",
        table: "doses",
        view: "doses_hourly",
        by: &["device_id", "pump"],
        count: "dose_count",
        sums: &[("value", "total", "average")],
    };
    for _ in 0..2 {
        for statement in roll_up.statements() {
            admin.run(&statement);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let mut plant = Plant::open(folder.path(), Settings::new(cluster.url()));
    plant.connect().unwrap();
    plant.take_numbers(1, 5001);
    assert_eq!(plant.deliver().unwrap().len(), 1);
    plant.take(&[
        r#"{"table":"doses","device":"late","n":1,"value":2.5,"at":1700000000}"#.into(),
        r#"{"table":"doses","device":"late","n":2,"at":1700000001}"#.into(),
        numbered("doses", 7),
    ]);
    plant.deliver().unwrap();

    let raw = "SELECT time_bucket, device_id, pump, count(*), sum(value), avg(value) FROM (SELECT date_trunc('hour', time) AS time_bucket, * FROM doses) d GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";
    let rolled = "SELECT bucket, device_id, pump, dose_count, total, average FROM doses_hourly ORDER BY 1, 2, 3";
    let rows = admin.rows(rolled);
    assert_eq!(rows, admin.rows(raw));
    assert!(rows.len() > 28, "{}", rows.len());
    assert!(
        rows.iter().any(|row| row.ends_with("late||2|2.5|2.5")),
        "{rows:?}"
    );
}
