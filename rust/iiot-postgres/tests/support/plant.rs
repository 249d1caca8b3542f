//! A journal with messages of a plant, and a sink that brings them into a database.

use super::PATIENCE;
use iiot_core::Profile;
use iiot_journal::{
    Batches, Intake, Journal, Message, Options, SourceSettings, Supply, SyncMode, now_ns,
};
use iiot_postgres::rows::{Refusal, RowLimits, RowOptions, Rows};
use iiot_postgres::settings::Settings;
use iiot_postgres::sink::{Connected, Outcome, Sink};
use iiot_postgres::{ErrorKind, Result};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub const PROFILE: &str = r#"
name = "plant"
[time]
path = "at"
format = "unix_s"
[[point]]
measurement = "{table}"
tags = { device_id = "{device}", pump = "{pump}" }
[point.fields]
n = { path = "n", type = "integer" }
value = { path = "value", type = "number" }
note = { path = "note", type = "any" }
"#;

pub struct Plant {
    pub journal: Journal,
    pub intake: Intake,
    pub sink: Sink,
}

pub fn limits() -> RowLimits {
    RowLimits {
        rows: 1000,
        bytes: 8 << 20,
    }
}

pub fn source(profile: &str) -> SourceSettings {
    SourceSettings {
        name: "plant".into(),
        profile: Arc::new(Profile::parse(profile).unwrap()),
        topic_prefix: "iiot".into(),
        tags: vec![("site".into(), "west".into())],
        dedup_window: Duration::from_secs(3600),
        time_step_us: 1000,
        supply: Supply::Live,
        max_document_bytes: 65_536,
        rtt_channel: None,
        is_shared: false,
    }
}

impl Plant {
    pub fn open(folder: &Path, settings: Settings) -> Self {
        Self::open_with(folder, settings, RowOptions::default())
    }

    pub fn open_with(folder: &Path, settings: Settings, options: RowOptions) -> Self {
        Self::open_as(folder, settings, options, 60)
    }

    /// Keep confirmed frames for this many seconds.
    pub fn open_keeping(folder: &Path, settings: Settings, keep_s: u64) -> Self {
        Self::open_as(folder, settings, RowOptions::default(), keep_s)
    }

    fn open_as(folder: &Path, settings: Settings, options: RowOptions, keep_s: u64) -> Self {
        let journal_options = Options {
            sync: SyncMode::Full,
            max_bytes: 64 << 20,
            keep_confirmed: Duration::from_secs(keep_s),
            ..Options::default()
        };
        let journal = Journal::open(&folder.join("journal.db"), &journal_options).unwrap();
        let batches = Batches::new(journal.add_sink("db", None).unwrap());
        let sink = Sink::new(
            batches,
            (journal.id(), "db"),
            journal.runs(),
            settings,
            options,
        )
        .unwrap();
        let intake = journal.add_source(source(PROFILE), None).unwrap();
        Self {
            journal,
            intake,
            sink,
        }
    }

    /// Accept documents unchanged.
    pub fn take(&mut self, documents: &[String]) {
        self.take_of(None, documents);
    }

    /// Accept documents of a device.
    pub fn take_of(&mut self, device: Option<&[u8]>, documents: &[String]) {
        let now = now_ns();
        for document in documents {
            self.intake.take_message(&Message {
                device,
                document: document.as_bytes(),
                received_at_ns: now,
                ..Message::default()
            });
        }
        self.intake.send_messages().unwrap();
        assert!(self.intake.settled(PATIENCE));
    }

    /// Accept numbered documents `from..to` for a table.
    pub fn take_numbers(&mut self, from: u64, to: u64) {
        let documents: Vec<String> = (from..to).map(|n| numbered("doses", n)).collect();
        self.take(&documents);
    }

    pub fn next(&self) -> Option<Rows> {
        let wait = Duration::from_millis(1);
        self.sink.next(limits(), wait, wait).unwrap()
    }

    /// Deliver all frames. Returns the refused rows.
    pub fn deliver(&self) -> Result<Vec<Refusal>> {
        let mut all = Vec::new();
        while let Some(rows) = self.next() {
            match self.sink.commit(&rows)? {
                Outcome::ReadAgain => self.sink.rewind(),
                Outcome::Committed(done) => {
                    self.sink.confirm(&rows, &done.refused, true)?;
                    all.extend(rows.refused.iter().cloned());
                    all.extend(done.refused);
                }
            }
        }
        assert!(self.journal.wait_delivered(PATIENCE));
        Ok(all)
    }

    /// Deliver all frames in spite of errors, like the delivery loop of the gateway.
    pub fn deliver_stubbornly(&self) {
        let until = std::time::Instant::now() + PATIENCE * 3;
        while let Err(error) = self.deliver() {
            assert!(std::time::Instant::now() < until, "{error}");
            while let Err(error) = self.connect() {
                assert_eq!(error.kind, ErrorKind::Wait, "{error}");
                assert!(std::time::Instant::now() < until, "{error}");
                std::thread::yield_now();
            }
        }
    }

    pub fn connect(&self) -> Result<Connected> {
        let connected = self.sink.connect();
        self.sink.rewind();
        connected
    }
}

/// A document with a number, a minute apart from the one before.
pub fn numbered(table: &str, n: u64) -> String {
    let at = 1_780_000_000 + n;
    format!(
        r#"{{"table":"{table}","device":"d{}","pump":{},"n":{n},"value":{n}.50,"at":{at}}}"#,
        n % 7,
        n % 4
    )
}
