//! How fast a backlog goes into `dosing_consumption` with its four indexes, against `\copy` of the same rows into the same table.
//!
//! `cargo run --release -p iiot-postgres --example copy_rate -- URL [ROWS [ROWS_OF_A_BATCH]]`; the database may be emptied, and `psql` must be found.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement may fail by panicking, and prints"
)]

use iiot_core::Profile;
use iiot_journal::{Batches, Journal, Message, Options, SourceSettings, Supply, SyncMode, now_ns};
use iiot_postgres::connection::Connection;
use iiot_postgres::plain;
use iiot_postgres::rows::{RowLimits, RowOptions};
use iiot_postgres::settings::Settings;
use iiot_postgres::sink::{Outcome, Sink};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(60);

const TABLE: &str = "DROP TABLE IF EXISTS dosing_consumption; \
    CREATE TABLE dosing_consumption (time timestamptz NOT NULL, device_id text NOT NULL, pump integer NOT NULL, chemical text NOT NULL, \
      target_g double precision, actual_g double precision, error_g double precision, recipe text, mode text, duration_ms bigint) PARTITION BY RANGE (time); \
    CREATE INDEX idx_dosing_device_time ON dosing_consumption (device_id, time DESC); \
    CREATE INDEX idx_dosing_chemical_time ON dosing_consumption (chemical, time DESC); \
    CREATE INDEX idx_dosing_recipe_time ON dosing_consumption (recipe, time DESC); \
    CREATE INDEX idx_dosing_pump ON dosing_consumption (pump, time DESC)";

fn main() {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap();
    let rows: u64 = arguments
        .next()
        .map_or(200_000, |text| text.parse().unwrap());
    let batch = arguments
        .next()
        .map_or(10_000, |text| text.parse().unwrap());
    let mut admin = Connection::new(Settings::new(url.as_str())).unwrap();
    admin.open().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let journal = fill(folder.path(), rows);
    for round in 1..=3 {
        admin.query(TABLE).unwrap();
        let week = plain::times_of_week(plain::week(now_ns() / 1000 - 3_600_000_000));
        let partition = plain::add_partition("public", "dosing_consumption", week);
        admin.query(&partition).unwrap();
        let (sink_s, cpu_s) = deliver(&journal, &url, round, (rows, batch));
        let told = admin
            .query("SELECT count(*) FROM dosing_consumption")
            .unwrap();
        assert_eq!(told[0][0].as_deref(), Some(rows.to_string().as_str()));

        let file = folder.path().join("rows.txt");
        let out = format!(
            "\\copy (SELECT * FROM dosing_consumption ORDER BY time) TO '{}'",
            file.display()
        );
        psql(&url, &out);
        admin.query(TABLE).unwrap();
        admin.query(&partition).unwrap();
        let began = Instant::now();
        psql(
            &url,
            &format!("\\copy dosing_consumption FROM '{}'", file.display()),
        );
        let copy_s = began.elapsed().as_secs_f64();
        println!(
            "round {round}: {:.0} rows/s, \\copy {:.0} rows/s, ratio {:.2}, {:.2} us of CPU a row",
            rows as f64 / sink_s,
            rows as f64 / copy_s,
            copy_s / sink_s,
            cpu_s * 1e6 / rows as f64
        );
    }
}

fn psql(url: &str, command: &str) {
    let ran = Command::new("psql")
        .arg(url)
        .args(["-qc", command])
        .status();
    assert!(ran.unwrap().success(), "{command}");
}

/// A journal with so many doses and three sinks that have had none of them.
fn fill(folder: &std::path::Path, rows: u64) -> Journal {
    let options = Options {
        sync: SyncMode::Full,
        max_bytes: 512 << 20,
        ..Options::default()
    };
    let journal = Journal::open(&folder.join("journal.db"), &options).unwrap();
    for round in 1..=3 {
        journal.add_sink(&format!("db{round}"), None).unwrap();
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../python/iiot_gateway/profiles/factory-dosing.toml");
    let profile = Profile::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
    let settings = SourceSettings {
        name: "plant".into(),
        profile: Arc::new(profile),
        topic_prefix: "iiot".into(),
        tags: Vec::new(),
        dedup_window: WAIT,
        time_step_us: 1000,
        supply: Supply::Replayable,
        max_document_bytes: 65_536,
        rtt_channel: None,
        is_shared: false,
    };
    let mut intake = journal.add_source(settings, None).unwrap();
    let start = now_ns() / 1_000_000_000 - 3600;
    for n in 0..rows {
        let chemical = ["acid", "base", "chlorine", "floc"][(n % 4) as usize];
        let document = format!(
            r#"{{"device_id":"doser-{:03}","timestamp":{},"pump":{},"chemical":"{chemical}","target_g":25.00,"actual_g":{}.{:02},"error_g":0.{:02},"recipe":"recipe-{}","mode":"auto","duration_ms":{}}}"#,
            n % 200,
            start + (n / 200) as i64 % 3000,
            n % 4 + 1,
            20 + n % 10,
            n % 100,
            n % 37,
            n % 12,
            1000 + n % 5000
        );
        intake.take_message(&Message {
            topic: Some(b"factory/dosing/consumption"),
            document: document.as_bytes(),
            received_at_ns: now_ns(),
            ..Message::default()
        });
        if n % 1000 == 999 {
            intake.send_messages().unwrap();
            assert!(intake.settled(WAIT));
        }
    }
    intake.send_messages().unwrap();
    assert!(intake.settled(WAIT) && journal.sync(WAIT));
    journal
}

/// Seconds, and seconds of CPU time of this process.
fn deliver(journal: &Journal, url: &str, round: u32, (rows, batch): (u64, usize)) -> (f64, f64) {
    let name = format!("db{round}");
    let batches = Batches::new(journal.add_sink(&name, None).unwrap());
    let options = RowOptions {
        manage: false,
        ..RowOptions::default()
    };
    let names = (journal.id(), name.as_str());
    let sink = Sink::new(batches, names, journal.runs(), Settings::new(url), options).unwrap();
    sink.connect().unwrap();
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let limits = RowLimits {
        rows: batch,
        bytes: 32 << 20,
    };
    let next = || sink.next(limits, Duration::ZERO, Duration::ZERO).unwrap();
    let mut delivered = 0;
    let mut waiting = next();
    // One batch is read while the one before is committed, as the gateway does.
    while let Some(batch) = waiting {
        let (outcome, read) = std::thread::scope(|scope| {
            let committing = scope.spawn(|| sink.commit(&batch).unwrap());
            let read = next();
            (committing.join().unwrap(), read)
        });
        waiting = match outcome {
            Outcome::ReadAgain => {
                sink.rewind();
                next()
            }
            Outcome::Committed(done) => {
                assert!(sink.confirm(&batch, &done.refused, true).unwrap());
                delivered += batch.len() as u64;
                read
            }
        };
    }
    assert_eq!(delivered, rows);
    (began.elapsed().as_secs_f64(), cpu_seconds() - cpu)
}

/// User and system time of this process so far.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}
