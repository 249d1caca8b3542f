//! The access of HTTP clients to the journal: batches of messages go in, and the outcome of each message comes back once it is synced.
//!
//! The writer fills a [`Report`] when it has committed a batch. Reports are handed out in the order of their tickets, when their tickets are synced, so a
//! client may rely on an outcome.

use crate::error::Result;
use crate::intake::Intake;
use crate::journal::Journal;
use crate::message_ids::{MessageId, MessageIds};
use crate::messages::Message;
use crate::mutex::lock;
use crate::queue::{Item, What};
use crate::report::{Outcome, Report};
use crate::shared::{Shared, Wake};
use crate::source_settings::SourceSettings;
use crate::state::State;
use crate::transaction::transaction;
use crate::wall_clock::now_ns;
use rusqlite::{OptionalExtension, params};
use siphasher::sip::SipHasher24;
use std::collections::VecDeque;
use std::hash::Hasher;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The most value faults that are reported for one message.
const MAX_TOLD: usize = 20;

/// The settings for posts.
#[derive(Debug, Clone)]
pub struct PostsSettings {
    /// The source.
    pub source: SourceSettings,
    /// For how long message ids are remembered.
    pub message_id_window: Duration,
    /// The most message ids that are remembered at a time; messages with further ids are refused.
    pub max_message_ids: usize,
}

/// A message of a client.
#[derive(Debug, Clone, Copy, Default)]
pub struct Post<'a> {
    /// The topic that says what kind of document it is.
    pub topic: Option<&'a [u8]>,
    /// The whole document.
    pub document: &'a [u8],
    /// Its device; the message id is unique among the messages of this device.
    pub device_id: &'a str,
    /// The snapshot of its device; none where no device is known.
    pub device: Option<&'a [u8]>,
    /// The device's id for the message.
    pub message_id: Option<&'a [u8]>,
    /// When the gateway had it, nanoseconds since 1970.
    pub received_at_ns: i64,
}

/// A batch whose senders wait.
struct Pending {
    ticket: u64,
    report: Arc<Report>,
    details: Vec<Detail>,
}

/// What is wrong with a message or with values of it.
#[derive(Default)]
struct Detail {
    text: String,
    /// Nothing in the message can be used.
    is_reject: bool,
}

/// Outcome and detail of each message of a batch, and its ticket.
pub type Answered = (u64, Vec<(Outcome, String)>);

/// The entry of clients' messages into the journal.
pub struct Posts {
    shared: Arc<Shared>,
    intake: Mutex<Intake>,
    pending: Mutex<VecDeque<Pending>>,
    secret: [u8; 16],
    messages: AtomicU64,
    payload_bytes: AtomicU64,
    last_message_ns: AtomicI64,
}

impl Journal {
    /// Begin the source of posts.
    pub fn add_posts(&self, settings: PostsSettings) -> Result<Posts> {
        let intake = self.add_source(settings.source, None)?;
        let at = intake.source;
        let window_s = u32::try_from(settings.message_id_window.as_secs()).unwrap_or(u32::MAX);
        let bounds = (window_s, settings.max_message_ids);
        let secret = self.shared.command(move |state| begin(state, at, bounds))?;
        Ok(Posts {
            shared: Arc::clone(&self.shared),
            intake: Mutex::new(intake),
            pending: Mutex::default(),
            secret,
            messages: AtomicU64::new(0),
            payload_bytes: AtomicU64::new(0),
            last_message_ns: AtomicI64::new(0),
        })
    }
}

/// Read the message ids of a source. Returns the secret key with which they are hashed, so that nobody can search for two ids with the same hash; it is made
/// the first time.
fn begin(state: &mut State, at: usize, bounds: (u32, usize)) -> Result<[u8; 16]> {
    let State { db, sources, .. } = state;
    let stored: Option<Vec<u8>> = db
        .query_row(
            "SELECT value FROM meta WHERE key='message_id_secret'",
            [],
            |r| r.get(0),
        )
        .optional()?;
    let stored = stored.and_then(|bytes| bytes.try_into().ok());
    let secret = match stored {
        Some(secret) => secret,
        None => transaction(db, || {
            let made: [u8; 16] = db.query_row("SELECT randomblob(16)", [], |r| r.get(0))?;
            db.execute(
                "INSERT OR REPLACE INTO meta VALUES ('message_id_secret', ?1)",
                params![made],
            )?;
            Ok(made)
        })?,
    };
    if let Some(source) = sources.get_mut(at) {
        source.message_ids = Some(MessageIds::load(db, source.id, bounds, now_ns())?);
    }
    Ok(secret)
}

impl Posts {
    /// Queue messages as one batch, which must not be empty. Returns its ticket. Does not wait for the disk.
    pub fn post(&self, messages: &[Post<'_>]) -> Result<u64> {
        let mut intake = lock(&self.intake);
        let mut details = Vec::with_capacity(messages.len());
        let mut bytes = 0;
        for post in messages {
            let message = Message {
                mark: None,
                topic: post.topic,
                device: post.device,
                document: post.document,
                received_at_ns: post.received_at_ns,
                delivery: None,
            };
            let id = post.message_id.map(|id| self.id(post, id));
            if post.document.len() > intake.max_document_bytes {
                intake.refuse_long_named(&message, post.document.len() as u64, id);
            } else {
                intake.take_named(&message, id);
            }
            details.push(match intake.batch.items.last() {
                Some(item) => detail(item, &message),
                None => Detail::default(),
            });
            bytes += post.document.len() as u64;
            self.last_message_ns
                .fetch_max(post.received_at_ns, Ordering::Relaxed);
        }
        let report = Arc::new(Report::default());
        intake.batch.report = Some(Arc::clone(&report));
        let ticket = intake.send_messages()?;
        self.messages
            .fetch_add(messages.len() as u64, Ordering::Relaxed);
        self.payload_bytes.fetch_add(bytes, Ordering::Relaxed);
        // Under the same lock, so that tickets stay in order.
        lock(&self.pending).push_back(Pending {
            ticket,
            report,
            details,
        });
        Ok(ticket)
    }

    fn id(&self, post: &Post<'_>, id: &[u8]) -> MessageId {
        let hash = |parts: [&[u8]; 2]| {
            let mut hasher = SipHasher24::new_with_key(&self.secret);
            for part in parts {
                hasher.write_u64(part.len() as u64);
                hasher.write(part);
            }
            hasher.finish()
        };
        MessageId {
            name: hash([post.device_id.as_bytes(), id]),
            content: hash([post.topic.unwrap_or_default(), post.document]),
        }
    }

    /// Whether [`results`](Self::results) would give something.
    pub fn has_results(&self) -> bool {
        let synced = self.synced_ticket();
        let pending = lock(&self.pending);
        pending.front().is_some_and(|first| first.ticket <= synced)
    }

    /// The outcomes of the messages of every synced batch, in the order of the tickets. Each is given once.
    pub fn results(&self) -> Vec<Answered> {
        let synced = self.synced_ticket();
        let mut pending = lock(&self.pending);
        let count = pending.partition_point(|batch| batch.ticket <= synced);
        let batches: Vec<Pending> = pending.drain(..count).collect();
        drop(pending);
        let answer = |batch: Pending| {
            let outcomes = batch.report.take();
            let answers = outcomes.into_iter().zip(batch.details).map(told);
            (batch.ticket, answers.collect())
        };
        batches.into_iter().map(answer).collect()
    }

    fn synced_ticket(&self) -> u64 {
        // This does not ask the intake, because a woken thread must not wait for a batch that is being scanned.
        lock(&self.shared.progress).synced_ticket
    }

    /// Whether the journal takes more now.
    pub fn has_room(&self) -> bool {
        lock(&self.intake).has_room()
    }

    /// Call this after each commit and sync; it must not block.
    pub fn subscribe(&self, wake: Wake) {
        lock(&self.shared.wakers).push(wake);
    }

    /// Messages so far, their bytes, and when the last one came, nanoseconds since 1970 (0 before the first).
    pub fn counts(&self) -> (u64, u64, i64) {
        (
            self.messages.load(Ordering::Relaxed),
            self.payload_bytes.load(Ordering::Relaxed),
            self.last_message_ns.load(Ordering::Relaxed),
        )
    }
}

/// What is wrong with a message, or with values of it.
fn detail(item: &Item, message: &Message<'_>) -> Detail {
    let within = |place: &str| {
        let outer = message.place();
        let inner = place.strip_prefix(&outer).unwrap_or(place);
        inner.trim_start_matches([':', ',', ' ']).to_owned()
    };
    let text = match &item.what {
        What::Reject { refusal, .. } => format!("{}: {}", refusal.reason, within(&refusal.place)),
        What::Ignored(name) => name.to_string(),
        What::Skipped(why) => (*why).to_owned(),
        What::Telemetry(_) => {
            let faults = item.value_faults.iter().take(MAX_TOLD);
            let faults: Vec<String> = faults.map(|fault| within(&fault.place)).collect();
            faults.join("; ")
        }
    };
    Detail {
        text,
        is_reject: matches!(item.what, What::Reject { .. }),
    }
}

/// The detail that goes with an outcome.
fn told((outcome, detail): (Outcome, Detail)) -> (Outcome, String) {
    let detail = match outcome {
        Outcome::Rejected if !detail.is_reject => {
            // The profile has been corrected since.
            "rejected_before: the same message was rejected before".to_owned()
        }
        Outcome::Accepted | Outcome::Ignored | Outcome::Rejected => detail.text,
        Outcome::Duplicate => String::new(),
        Outcome::Conflict => "another message of this message id was accepted".to_owned(),
        Outcome::Refused => "too many message ids within their window".to_owned(),
    };
    (outcome, detail)
}
