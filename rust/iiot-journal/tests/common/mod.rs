//! What the tests of the journal share: documents, a source, a sink that takes everything.

use iiot_core::Decoded;
use iiot_core::profile::Profile;
use iiot_journal::{
    Confirmation, Cursor, Encoder, Frame, Intake, Journal, Options, OriginInfo, RetrySource,
    SourceSettings, Status, Supply, SyncMode,
};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub const WAIT: Duration = Duration::from_secs(20);
pub const SECOND: i64 = 1_000_000_000;
pub const NOON: i64 = 1_700_000_000 * SECOND;

pub fn profile() -> Arc<Profile> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../python/iiot_gateway/profiles/lora-bridge.toml");
    Arc::new(Profile::parse(&std::fs::read_to_string(path).unwrap()).unwrap())
}

pub fn settings(name: &str) -> SourceSettings {
    SourceSettings {
        name: name.into(),
        profile: profile(),
        topic_prefix: "iiot".into(),
        tags: Vec::new(),
        dedup_window: Duration::from_secs(3600),
        time_step_us: 1000,
        supply: Supply::Live,
        max_document_bytes: 65_536,
        rtt_channel: None,
        is_shared: false,
    }
}

/// What a retry is told of a source that has this profile now.
pub fn retried_under(name: &str, profile: Arc<Profile>) -> HashMap<String, RetrySource> {
    let source = RetrySource {
        profile,
        dedup_window: Duration::from_secs(3600),
        devices: None,
    };
    HashMap::from([(name.to_owned(), source)])
}

pub fn options() -> Options {
    Options {
        sync: SyncMode::Full,
        max_bytes: 8 << 20,
        ..Options::default()
    }
}

pub fn open(folder: &Path) -> Journal {
    Journal::open(&folder.join("journal.db"), &options()).unwrap()
}

/// A document of the contract; `seq` makes it distinct.
pub fn document(ts: u64, rx: u64, seq: u64) -> String {
    format!(
        r#"{{"ts":{ts},"id":"N2","n1":{{"t":27.6,"h":54.1,"g":84190,"seq":{seq}}},"n2":{{"t":26.8,"h":48.8}},"sig":{{"rssi":-39,"snr":13}},"sts":{{"rx":{rx},"err":0}}}}"#
    )
}

pub fn line(seq: u64) -> String {
    format!(
        "[INFO] JSON sent via VCP: {}\\n (wk5 src/main.rs:573)\n",
        document(seq * 10_000, seq, seq)
    )
}

/// Push lines `from..to` and wait until they are committed.
pub fn push(intake: &mut Intake, from: u64, to: u64) {
    let text: String = (from..to).map(line).collect();
    intake.push(text.as_bytes(), NOON).unwrap();
    assert!(intake.settled(WAIT));
}

/// Everything behind a cursor: position, time, document.
pub fn behind(cursor: &Cursor) -> Vec<(u64, i64, String)> {
    let mut from = cursor.position();
    let mut all = Vec::new();
    loop {
        let rows = cursor.read(from, 1 << 20).unwrap();
        if rows.is_empty() {
            return all;
        }
        for row in rows {
            for frame in row.frames().filter(|f| f.position >= from) {
                all.push((
                    frame.position,
                    frame.time_ns,
                    String::from_utf8(frame.document.to_vec()).unwrap(),
                ));
            }
            from = row.end();
        }
    }
}

/// Confirm everything up to `end` as delivered.
pub fn deliver(cursor: &Cursor, end: u64) {
    let from = cursor.position();
    let c = Confirmation {
        from,
        end,
        delivered: end - from,
        ..Confirmation::default()
    };
    let confirmer = cursor.confirmer();
    confirmer.confirm(c).unwrap();
    assert!(confirmer.wait_settled(end, WAIT));
}

/// The positions of frames, up to a number of them, and their lines.
pub struct Collected {
    pub positions: Vec<u64>,
    pub lines: Vec<u8>,
    most: usize,
}

impl Collected {
    pub fn up_to(most: usize) -> Self {
        Self {
            positions: Vec::new(),
            lines: Vec::new(),
            most,
        }
    }
}

impl Encoder for Collected {
    fn is_full(&self) -> bool {
        self.positions.len() >= self.most
    }

    fn frame(&mut self, info: &OriginInfo, frame: &Frame<'_>, decoded: Option<&Decoded<'_>>) {
        self.positions.push(frame.position);
        let decoded = decoded.unwrap();
        decoded.write_lines(&info.origin, frame.time(), &mut self.lines);
    }
}

/// The ledger balances in every line.
pub fn balanced(status: &Status) {
    let intake = |name: &str| status.intake[name];
    assert_eq!(
        intake("received"),
        intake("accepted") + intake("duplicate") + intake("rejected"),
        "{status:?}"
    );
    for sink in &status.sinks {
        let sum = sink.delivered
            + sink.queued
            + sink.rejected
            + sink.superseded
            + sink.dropped_full
            + sink.dropped_age
            + sink.dropped_away;
        assert_eq!(sink.accepted, sum, "{sink:?}");
    }
}
