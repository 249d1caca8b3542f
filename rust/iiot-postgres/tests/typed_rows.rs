//! The columns in which values are stored, and values without a column.

use crate::support::cluster::{Admin, Cluster, skip};
use crate::support::plant::Plant;
use iiot_core::device_snapshot;
use iiot_postgres::ErrorKind;
use iiot_postgres::rows::RowOptions;
use iiot_postgres::settings::Settings;

struct Bench {
    plant: Plant,
    admin: Admin,
    _cluster: Cluster,
    _folder: tempfile::TempDir,
}

impl Bench {
    /// Begin with existing tables, and options.
    fn start(tables: &str, options: RowOptions) -> Self {
        let cluster = Cluster::start();
        let admin = cluster.admin();
        admin.run(tables);
        let folder = tempfile::tempdir().unwrap();
        let plant = Plant::open_with(folder.path(), Settings::new(cluster.url()), options);
        plant.connect().unwrap();
        Self {
            plant,
            admin,
            _cluster: cluster,
            _folder: folder,
        }
    }

    /// Deliver documents. Returns the reasons of refused rows.
    fn deliver(&mut self, documents: &[&str]) -> Vec<String> {
        let owned: Vec<String> = documents.iter().map(|d| (*d).to_owned()).collect();
        self.plant.take(&owned);
        let refused = self.plant.deliver().unwrap();
        refused.into_iter().map(|refusal| refusal.reason).collect()
    }
}

fn fixed() -> RowOptions {
    RowOptions {
        manage: false,
        ..RowOptions::default()
    }
}

/// Values keep their digits in whatever type the column has, and texts keep every character.
#[test]
fn values_arrive_as_they_were_written() {
    if skip() {
        return;
    }
    let mut bench = Bench::start(
        "CREATE TABLE doses (time timestamptz NOT NULL, device_id text NOT NULL, pump integer, n smallint, value numeric, note text, made_at timestamptz DEFAULT now(), id bigserial)",
        fixed(),
    );
    let refused = bench.deliver(&[
        r#"{"table":"doses","device":"tab\there\\N","pump":1,"n":7,"value":27.600000000000000000001000,"note":"\\. \"quoted\"\r\nline","at":1780000000}"#,
        r#"{"table":"doses","device":"Säure 😀","pump":2,"n":8,"value":1.10e-2,"at":1780000001}"#,
    ]);

    assert_eq!(refused, [""; 0]);
    assert_eq!(
        bench.admin.rows("SELECT to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), device_id, pump, n, value, note, made_at IS NOT NULL, id FROM doses ORDER BY n"),
        [
            "2026-05-28 20:26:40.000000|tab\there\\N|1|7|27.600000000000000000001000|\\. \"quoted\"\r\nline|t|1",
            "2026-05-28 20:26:41.000000|Säure 😀|2|8|0.0110||t|2"
        ]
    );
}

/// A value that a column cannot hold is refused before the server gets it, with the column and the value. The other rows are stored.
#[test]
fn a_value_of_the_wrong_type_costs_its_row() {
    if skip() {
        return;
    }
    let mut bench = Bench::start(
        "CREATE TABLE doses (time timestamptz NOT NULL, device_id text NOT NULL, pump integer, n bigint NOT NULL, value real, note varchar(3))",
        fixed(),
    );
    let refused = bench.deliver(&[
        r#"{"table":"doses","device":"a","pump":"1.5","n":1,"at":1780000000}"#,
        r#"{"table":"doses","device":"a","pump":1,"n":2,"at":1780000000}"#,
        r#"{"table":"doses","device":"a","pump":1,"n":3,"value":1e39,"at":1780000000}"#,
        r#"{"table":"doses","device":"a","pump":1,"n":4,"note":"four","at":1780000000}"#,
        r#"{"table":"doses","device":"a","pump":1,"value":4,"at":1780000000}"#,
        r#"{"table":"doses","device":"a","pump":1,"n":6,"note":true,"at":1780000000}"#,
    ]);

    assert_eq!(refused.len(), 5, "{refused:?}");
    assert!(
        refused[0].contains("column pump (integer) of table doses cannot hold \"1.5\""),
        "{refused:?}"
    );
    assert!(
        refused
            .iter()
            .any(|reason| reason.contains("column n of table doses is NOT NULL"))
    );
    assert_eq!(
        bench
            .admin
            .one("SELECT string_agg(n::text, ',') FROM doses"),
        "2"
    );
    let rejects = bench.plant.journal.rejects(10).unwrap();
    assert_eq!(rejects.len(), 5);
    assert!(
        rejects[4].excerpt.contains("pump=1.5"),
        "{}",
        rejects[4].excerpt
    );
}

/// A device whose rows are 30 % wrong aborts no COPY: that would cost every other device its rate.
#[test]
fn wrong_types_abort_no_transaction() {
    if skip() {
        return;
    }
    let mut bench = Bench::start(
        "CREATE TABLE doses (time timestamptz NOT NULL, device_id text NOT NULL, pump integer, n bigint NOT NULL)",
        fixed(),
    );
    let documents: Vec<String> = (0..3000)
        .map(|n| {
            let pump = if n % 10 < 3 { "\"left\"" } else { "1" };
            format!(
                r#"{{"table":"doses","device":"a","pump":{pump},"n":{n},"at":{}}}"#,
                1_780_000_000 + n
            )
        })
        .collect();
    let rollbacks = "SELECT pg_stat_clear_snapshot(), xact_rollback FROM pg_stat_database WHERE datname = 'postgres'";
    let before = bench.admin.one(rollbacks);
    bench.plant.take(&documents);

    let refused = bench.plant.deliver().unwrap();
    bench.plant.sink.close();
    // A backend reports its counts when it ends.
    let running = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'iiot-gateway'";
    while bench.admin.one(running) != "0" {}

    assert_eq!(refused.len(), 900);
    assert_eq!(bench.admin.one("SELECT count(*) FROM doses"), "2100");
    assert_eq!(bench.admin.one(rollbacks), before);
}

/// A fault that only the server can see is found by its line, even many times in one batch, and every other row is stored.
#[test]
fn a_row_that_the_server_refuses_is_named() {
    if skip() {
        return;
    }
    let mut bench = Bench::start(
        "CREATE TABLE doses (time timestamptz NOT NULL, device_id text, pump integer, n bigint CONSTRAINT not_every_third CHECK (n % 3 <> 0), value numeric(6,2))",
        fixed(),
    );
    bench.plant.take_numbers(1, 2001);
    let refused = bench.plant.deliver().unwrap();

    assert_eq!(refused.len(), 666);
    assert!(
        refused[0].reason.contains("not_every_third"),
        "{}",
        refused[0].reason
    );
    assert!(refused[0].reason.contains("line "), "{}", refused[0].reason);
    assert!(refused[0].excerpt.contains(" 3 "), "{}", refused[0].excerpt);
    assert_eq!(
        bench.admin.one(
            "SELECT count(*), count(DISTINCT n), count(*) FILTER (WHERE n % 3 = 0) FROM doses"
        ),
        "1334|1334|0"
    );
    let sink = bench.plant.journal.status().unwrap().sinks[0].clone();
    assert_eq!((sink.delivered, sink.rejected), (1334, 666));
}

/// A deferred trigger names no line, so it is run early. A trigger that raises an exception refuses a row like any constraint.
#[test]
fn a_deferred_refusal_is_found_by_halving() {
    if skip() {
        return;
    }
    let mut bench = Bench::start(
        "CREATE TABLE doses (time timestamptz NOT NULL, device_id text, pump integer, n bigint, value numeric); \
         CREATE FUNCTION no_unlucky() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.n = 13 OR NEW.n = 813 THEN RAISE EXCEPTION 'unlucky'; END IF; RETURN NULL; END $$; \
         CREATE CONSTRAINT TRIGGER unlucky AFTER INSERT ON doses DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION no_unlucky()",
        fixed(),
    );
    bench.plant.take_numbers(1, 1001);
    let refused = bench.plant.deliver().unwrap();

    let reasons: Vec<&str> = refused
        .iter()
        .map(|refusal| refusal.reason.as_str())
        .collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(
        reasons[0].contains("unlucky (SQLSTATE P0001"),
        "{reasons:?}"
    );
    assert_eq!(
        bench
            .admin
            .one("SELECT count(*) FROM doses WHERE n NOT IN (13, 813)"),
        "998"
    );
    assert_eq!(bench.admin.one("SELECT count(*) FROM doses"), "998");
}

/// Missing tables and columns are made, also with names that need quotes. Existing ones are not changed.
#[test]
fn what_is_missing_is_made() {
    if skip() {
        return;
    }
    let mut bench = Bench::start(
        "CREATE TABLE \"Order\" (time timestamptz NOT NULL, value numeric, untouched text)",
        RowOptions::default(),
    );
    let refused = bench.deliver(&[
        r#"{"table":"Order","device":"a","pump":1,"n":1,"value":2.50,"at":1780000000}"#,
        r#"{"table":"a\"; DROP TABLE \"Order\"; --","device":"a","pump":1,"n":1,"value":true,"note":"x","at":1780000000}"#,
        r#"{"table":"größe","device":"a","pump":1,"n":1,"note":1.5,"at":1780000000}"#,
    ]);

    assert_eq!(refused, [""; 0]);
    let columns = "SELECT string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position) FROM information_schema.columns WHERE table_name = ";
    assert_eq!(
        bench.admin.one(&format!("{columns}'Order'")),
        "time timestamp with time zone, value numeric, untouched text, device_id text, n bigint, pump text"
    );
    assert_eq!(
        bench.admin.one(&format!("{columns}'größe'")),
        "time timestamp with time zone, device_id text, pump text, n bigint, note double precision, extra jsonb"
    );
    assert_eq!(
        bench
            .admin
            .one("SELECT value, device_id, n, pump FROM \"Order\""),
        "2.50|a|1|1"
    );
    assert_eq!(
        bench
            .admin
            .one("SELECT note FROM \"a\"\"; DROP TABLE \"\"Order\"\"; --\""),
        "x"
    );
}

/// A value without a column is stored in `extra`. Without that column it is left out, and counted by its name.
#[test]
fn what_has_no_column_is_kept_or_counted() {
    if skip() {
        return;
    }
    let mut bench = Bench::start(
        "CREATE TABLE doses (time timestamptz NOT NULL, n bigint, extra jsonb); CREATE TABLE bare (time timestamptz NOT NULL, n bigint)",
        fixed(),
    );
    let refused = bench.deliver(&[
        r#"{"table":"doses","device":"a\"b","pump":1,"n":1,"value":2.50,"note":true,"at":1780000000}"#,
        r#"{"table":"doses","device":"c","pump":1,"n":2,"at":1780000000}"#,
    ]);
    assert_eq!(refused, [""; 0]);
    assert_eq!(
        bench.admin.rows("SELECT extra FROM doses ORDER BY n"),
        [
            r#"{"note": true, "pump": "1", "value": 2.50, "device_id": "a\"b"}"#,
            r#"{"pump": "1", "device_id": "c"}"#
        ]
    );

    bench
        .plant
        .take(&[r#"{"table":"bare","device":"a","pump":1,"n":1,"at":1780000000}"#.into()]);
    let first = bench.plant.next().unwrap();
    bench.plant.sink.commit(&first).unwrap();
    bench.plant.sink.rewind();
    let rows = bench.plant.next().unwrap();
    let left_out: Vec<(&str, u64)> = rows
        .left_out
        .iter()
        .map(|((_, name), count)| (name.as_str(), *count))
        .collect();
    assert_eq!(left_out, [("device_id", 1), ("pump", 1)]);
}

/// A computed column is not written, even if missing columns are made.
#[test]
fn computed_columns_are_left_to_the_server() {
    if skip() {
        return;
    }
    let mut bench = Bench::start(
        "CREATE TABLE doses (time timestamptz NOT NULL, n bigint, value bigint GENERATED ALWAYS AS (n * 2) STORED, note bigint GENERATED ALWAYS AS IDENTITY, extra jsonb)",
        RowOptions::default(),
    );
    let document =
        r#"{"table":"doses","device":"a","pump":1,"n":4,"value":9.5,"note":"x","at":1780000000}"#;
    assert_eq!(bench.deliver(&[document]), [""; 0]);
    assert_eq!(
        bench.admin.one("SELECT n, value, note, extra FROM doses"),
        r#"4|8|1|{"note": "x", "value": 9.5}"#
    );
}

/// Tags of the configuration become columns only if that is wanted. An existing column gets them.
#[test]
fn tags_of_the_configuration_make_no_columns() {
    if skip() {
        return;
    }
    let document = |table: &str| {
        format!(r#"{{"table":"{table}","device":"a","pump":1,"n":1,"at":1780000000}}"#)
    };
    let mut bench = Bench::start(
        "CREATE TABLE with_site (time timestamptz NOT NULL, n bigint, site text)",
        RowOptions::default(),
    );
    bench.deliver(&[&document("with_site"), &document("without")]);
    assert_eq!(bench.admin.one("SELECT site FROM with_site"), "west");
    let has_site = "SELECT count(*) FROM information_schema.columns WHERE column_name = 'site' AND table_name = ";
    assert_eq!(bench.admin.one(&format!("{has_site}'without'")), "0");

    let options = RowOptions {
        configuration_tags: true,
        ..RowOptions::default()
    };
    let mut bench = Bench::start("", options);
    bench.deliver(&[&document("wanted")]);
    assert_eq!(bench.admin.one("SELECT site FROM wanted"), "west");
}

/// Tags that the registry gives a device become columns, and override those of the profile.
#[test]
fn tags_of_a_device_make_columns() {
    if skip() {
        return;
    }
    let mut bench = Bench::start("", RowOptions::default());
    let device = device_snapshot(&[("device_id", "e1"), ("location", "hall")]).unwrap();
    let document = r#"{"table":"doses","device":"a","pump":1,"n":1,"at":1780000000}"#.to_owned();
    bench
        .plant
        .take_of(Some(&device), std::slice::from_ref(&document));
    bench
        .plant
        .take(&[document.replace("1780000000", "1780000001")]);
    assert!(bench.plant.deliver().unwrap().is_empty());
    assert_eq!(
        bench
            .admin
            .rows("SELECT device_id, location, n FROM doses ORDER BY time"),
        ["e1|hall|1", "a||1"]
    );
}

/// U+0000, names that are too long, tables without a time, and times that are too old cost their rows and nothing else.
#[test]
fn what_no_table_can_take_costs_one_row() {
    if skip() {
        return;
    }
    let long = "m".repeat(64);
    let options = RowOptions {
        retention_ns: [("doses".to_owned(), 30 * 86_400 * 1_000_000_000)].into(),
        ..RowOptions::default()
    };
    let tables = "CREATE TABLE users (name text); CREATE VIEW shown AS SELECT now() AS time, 1 AS n; CREATE INDEX of_users ON users (name)";
    let mut bench = Bench::start(tables, options);
    let now = iiot_journal::now_ns() / 1_000_000_000;
    let refused = bench.deliver(&[
        &format!(r#"{{"table":"doses","device":"a\u0000b","n":1,"at":{now}}}"#),
        &format!(r#"{{"table":"{long}","device":"a","n":1,"at":{now}}}"#),
        &format!(r#"{{"table":"users","device":"a","n":1,"at":{now}}}"#),
        &format!(r#"{{"table":"shown","device":"a","n":1,"at":{now}}}"#),
        &format!(r#"{{"table":"of_users","device":"a","n":1,"at":{now}}}"#),
        &format!(r#"{{"table":"iiot_gateway_position","device":"a","n":1,"at":{now}}}"#),
        &format!(
            r#"{{"table":"doses","device":"a","n":1,"at":{}}}"#,
            now - 40 * 86_400
        ),
        &format!(r#"{{"table":"doses","device":"a","n":6,"at":{now}}}"#),
    ]);

    assert_eq!(refused.len(), 7, "{refused:?}");
    for (reason, said) in refused.iter().zip([
        "U+0000",
        "63 bytes",
        "no column time",
        "no table",
        "no table",
        "own",
        "30 days",
    ]) {
        assert!(reason.contains(said), "{reason}: {said}");
    }
    assert_eq!(bench.admin.one("SELECT n FROM doses"), "6");
}

/// If a required table is missing, the sink waits and reports that. Once the table exists, all rows are stored.
#[test]
fn a_missing_table_is_waited_for() {
    if skip() {
        return;
    }
    let mut bench = Bench::start("", fixed());
    bench.plant.take_numbers(1, 11);
    let error = bench.plant.deliver().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Report);
    assert!(
        error.to_string().contains("\"doses\" does not exist"),
        "{error}"
    );

    bench
        .admin
        .run("CREATE TABLE doses (time timestamptz NOT NULL, n bigint)");
    bench.plant.connect().unwrap();
    bench.plant.deliver().unwrap();
    assert_eq!(bench.admin.one("SELECT count(*) FROM doses"), "10");
}

/// A column that is dropped while the gateway writes is noticed, and nothing is lost or doubled.
#[test]
fn a_column_that_goes_away_is_noticed() {
    if skip() {
        return;
    }
    let mut bench = Bench::start(
        "CREATE TABLE doses (time timestamptz NOT NULL, n bigint, value numeric)",
        fixed(),
    );
    bench.plant.take_numbers(1, 11);
    bench.plant.deliver().unwrap();
    bench.admin.run("ALTER TABLE doses DROP COLUMN value");
    bench.plant.take_numbers(11, 21);

    let error = bench.plant.deliver().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Wait, "{error}");
    bench.plant.connect().unwrap();
    bench.plant.deliver().unwrap();

    assert_eq!(
        bench
            .admin
            .one("SELECT count(*), count(DISTINCT n) FROM doses"),
        "20|20"
    );
}
