//! Takes the bytes of a source. Framing and scanning happen here, on the caller's thread; judging and storing happen on the writer's thread.

use crate::begin::begin;
use crate::directory::Directory;
use crate::error::Result;
use crate::journal::Journal;
use crate::mutex::lock;
use crate::queue::{Documents, LIVE_LIMIT_BYTES, Message, ROOM_BYTES};
use crate::row::Supply;
use crate::scanned::take;
use crate::shared::Shared;
use crate::source_settings::{RecordingSettings, SourceSettings};
use crate::wall_clock::now_ns;
use crate::writing;
use iiot_core::channel::ChannelFramer;
use iiot_core::profile::Profile;
use iiot_core::quote;
use iiot_core::scan::Scan;
use std::sync::Arc;
use std::time::Duration;

/// A live source itself commits up to this many documents, if nothing prevents it; more are worth a hop to the writer's thread.
const LEAD_DOCUMENTS: usize = 2;
/// The log names up to this many further RTT channels per source.
const MAX_TOLD: usize = 16;

/// A source's access to the journal. Calls must not overlap; a mutex around it is enough.
pub struct Intake {
    pub(crate) shared: Arc<Shared>,
    pub(crate) source: usize,
    pub(crate) supply: Supply,
    recording: bool,
    /// For a recording: push its stream from here.
    pub resume_offset: u64,
    /// For a recording: it was read to its end before.
    pub finished: bool,
    pub(crate) profile: Arc<Profile>,
    pub(crate) scan: Scan,
    framer: ChannelFramer,
    /// Stream offset at which the framer began.
    pub(crate) base: u64,
    pub(crate) pushed: u64,
    pub(crate) last_ticket: u64,
    pub(crate) name: String,
    pub(crate) max_document_bytes: usize,
    rtt_channel: Option<String>,
    /// Further RTT channels that the log was told of.
    left_out: Vec<Vec<u8>>,
    /// The devices whose messages come under topics, if they are registered.
    pub(crate) devices: Option<Arc<Directory>>,
    /// Messages that were taken but not queued yet.
    pub(crate) batch: Documents,
}

impl Journal {
    /// Begin a source; a recording goes on where it stopped according to the journal.
    pub fn add_source(
        &self,
        settings: SourceSettings,
        recording: Option<RecordingSettings>,
    ) -> Result<Intake> {
        let kept = settings.clone();
        let is_recording = recording.is_some();
        let (source, position, finished) = self
            .shared
            .command(move |state| begin(state, &settings, &recording.unwrap_or_default()))?;
        Ok(Intake {
            shared: Arc::clone(&self.shared),
            source,
            supply: kept.supply,
            recording: is_recording,
            resume_offset: position,
            finished,
            profile: kept.profile,
            scan: Scan::new(),
            framer: ChannelFramer::new(kept.max_document_bytes, kept.rtt_channel.as_deref()),
            base: position,
            pushed: position,
            last_ticket: 0,
            name: kept.name,
            max_document_bytes: kept.max_document_bytes,
            rtt_channel: kept.rtt_channel,
            left_out: Vec::new(),
            devices: None,
            batch: Documents::default(),
        })
    }
}

impl Intake {
    /// Look up the devices of messages in this directory; the level called `device` of the profile's filters names them.
    pub fn set_devices(&mut self, devices: Arc<Directory>) {
        self.devices = Some(devices);
    }

    /// For a recording that goes on, before the first `push`: its bytes before `resume_offset`, in any pieces. They show which RTT channel the stream is in at
    /// that place.
    pub fn skip(&mut self, chunk: &[u8]) {
        self.framer.skip(chunk);
    }

    /// Frame, scan and queue a chunk, and commit it as well if that needs no waiting. Never waits for a sync, a checkpoint or the commit of another thread.
    /// Returns how many documents, good or damaged, it completed.
    pub fn push(&mut self, chunk: &[u8], received_at_ns: i64) -> Result<usize> {
        let mut documents = Documents::default();
        let Self {
            framer,
            profile,
            scan,
            ..
        } = self;
        framer.feed_with(chunk, profile, scan, |framed, decoded, fault| {
            take(&mut documents, &framed, decoded, fault, received_at_ns);
        });
        self.pushed += chunk.len() as u64;
        self.tell_left_out();
        let may_lead = !self.supply.is_replayable() && documents.items.len() <= LEAD_DOCUMENTS;
        self.send(documents, false, may_lead)
    }

    /// The end of the stream: an open document is damaged; a recording is marked as read to its end.
    pub fn finish(&mut self, received_at_ns: i64) -> Result<usize> {
        let documents = self.open_documents(received_at_ns);
        self.send(documents, self.recording, false)
    }

    /// The stream broke: an open document is damaged, framing begins anew.
    pub fn restart(&mut self) -> Result<usize> {
        let documents = self.open_documents(now_ns());
        self.framer = ChannelFramer::new(self.max_document_bytes, self.rtt_channel.as_deref());
        self.base = self.pushed;
        self.send(documents, false, false)
    }

    fn open_documents(&mut self, received_at_ns: i64) -> Documents {
        let mut documents = Documents::default();
        let Self {
            framer,
            profile,
            scan,
            ..
        } = self;
        framer.finish(profile, scan, |framed, decoded, fault| {
            take(&mut documents, &framed, decoded, fault, received_at_ns);
        });
        documents
    }

    /// Log each further RTT channel once, up to the number that can be remembered.
    fn tell_left_out(&mut self) {
        for other in self.framer.others() {
            if self.left_out.len() < MAX_TOLD && !self.left_out.contains(other) {
                self.left_out.push(other.clone());
                lock(&self.shared.notes).push(format!(
                    "rtt_channel_left_out: source {} takes channel {}, and {} speaks too; rtt_channel chooses another",
                    self.name,
                    quote(self.rtt_channel.as_deref().unwrap_or_default().as_bytes()),
                    quote(other),
                ));
            }
        }
    }

    /// Queue a batch. With `may_lead` it is committed here, if that needs no waiting.
    pub(crate) fn send(
        &mut self,
        mut documents: Documents,
        finished: bool,
        may_lead: bool,
    ) -> Result<usize> {
        let count = documents.items.len();
        if documents.is_empty() && !finished {
            return Ok(0);
        }
        documents.finished = finished;
        documents.settled = if finished {
            self.pushed
        } else {
            self.base + self.framer.settled()
        };
        if !self.supply.is_replayable() {
            let mut queue = lock(&self.shared.queue);
            if queue
                .waiting
                .get(&self.source)
                .is_some_and(|&waiting| waiting > LIVE_LIMIT_BYTES)
            {
                *queue.lost.entry(self.source).or_default() += count as u64;
                return Ok(count);
            }
        }
        let message = Message::Documents {
            source: self.source,
            documents,
        };
        if may_lead {
            self.last_ticket = self.shared.put(message)?;
            writing::lead(&self.shared);
        } else {
            self.last_ticket = self.shared.send(message)?;
        }
        Ok(count)
    }

    /// Wait until only little data of this source waits for the disk.
    pub fn wait_room(&self, timeout: Duration) -> bool {
        let queue = lock(&self.shared.queue);
        let (_queue, outcome) = self
            .shared
            .queue_drained
            .wait_timeout_while(queue, timeout, |q| {
                q.waiting.get(&self.source).is_some_and(|&w| w > ROOM_BYTES) && !q.stopping
            })
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        !outcome.timed_out()
    }

    /// Wait until everything pushed is committed.
    pub fn settled(&self, timeout: Duration) -> bool {
        self.shared
            .wait_progress(timeout, |p| p.committed_ticket >= self.last_ticket)
    }
}
