//! How a sink moves through the journal, batch by batch: it waits, collects frames up to a limit, goes back, and confirms one batch while the next is read.

use crate::cursor::{Confirmer, Cursor};
use crate::error::Result;
use crate::origins::OriginInfo;
use crate::rewind::GoneBack;
use crate::row::{Frame, Row};
use crate::sink::{Confirmation, SinkReject, TopicValue};
use crate::sink_state::StateChanges;
use iiot_core::Decoded;
use iiot_core::scan::Scan;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Rows read at once.
const READ_BYTES: usize = 256 * 1024;
/// How often a batch that is not full looks for more frames. This is not a multiple of a usual period: if it kept step with a node that sends every 10 ms, it
/// would look each time while a frame is being published. It does not look at each commit either, because that would take a core from the threads that publish
/// the frame.
const COLLECT_EVERY: Duration = Duration::from_millis(23);
/// How far back [`Batches::newest`] looks.
const NEWEST_FRAMES: u64 = 64;
/// How often a wait for a confirmation checks whether the sink must stop.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Makes the contents of a batch from frames: lines, publishes, values, rows.
pub trait Encoder {
    /// Whether the batch holds as much as it may.
    fn is_full(&self) -> bool;

    /// Whether the encoder needs the contents of the next frame; only then is the frame decoded.
    fn wants(&mut self, info: &OriginInfo, frame: &Frame<'_>) -> bool {
        let _ = (info, frame);
        true
    }

    /// Take the next frame. `decoded` holds the values that its profile finds in it. It is `None` for a frame that is not wanted, or for one that another
    /// program wrote and that gives no points here.
    fn frame(&mut self, info: &OriginInfo, frame: &Frame<'_>, decoded: Option<&Decoded<'_>>);
}

/// Tells a sink's threads to stop; it is set once.
#[derive(Clone)]
pub struct Stop {
    flag: Arc<Flag>,
    nudge: Arc<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Flag {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl Flag {
    fn is_set(&self) -> bool {
        *self.is_set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, timeout: Duration) {
        let is_set = self.is_set.lock().unwrap_or_else(PoisonError::into_inner);
        drop(
            self.changed
                .wait_timeout_while(is_set, timeout, |is_set| !*is_set),
        );
    }
}

impl Stop {
    /// Stop: calls that wait for frames or a confirmation return.
    pub fn set(&self) {
        *self
            .flag
            .is_set
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.flag.changed.notify_all();
        (self.nudge)();
    }

    /// Whether the sink is to stop.
    pub fn is_set(&self) -> bool {
        self.flag.is_set()
    }
}

/// Reads the frames of one sink. Not shared between threads, but may move between them.
pub struct Batches {
    cursor: Cursor,
    scan: Scan,
    /// Behind the last batch handed out.
    next: u64,
    /// The row in which it ended; it is not read from the disk again.
    rest: Option<Arc<Row>>,
    confirmations: Arc<Confirmations>,
    stop: Stop,
}

/// Confirms the batches of one sink. May be used while another thread reads.
pub struct Confirmations {
    confirmer: Confirmer,
    /// Behind the last confirmation queued.
    queued: AtomicU64,
    stop: Stop,
}

impl Batches {
    /// Begin behind the sink's cursor.
    pub fn new(cursor: Cursor) -> Self {
        let stop = Stop {
            flag: Arc::default(),
            nudge: Arc::new(cursor.nudge()),
        };
        let confirmations = Confirmations {
            confirmer: cursor.confirmer(),
            queued: AtomicU64::new(cursor.position()),
            stop: stop.clone(),
        };
        Self {
            next: cursor.position(),
            scan: Scan::new(),
            rest: None,
            confirmations: Arc::new(confirmations),
            stop,
            cursor,
        }
    }

    /// The handle that confirms the batches.
    pub fn confirmations(&self) -> Arc<Confirmations> {
        Arc::clone(&self.confirmations)
    }

    /// The handle that ends waiting.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// The first position that is not settled, as committed.
    pub fn position(&self) -> u64 {
        self.cursor.position()
    }

    /// The last confirmed value of every topic.
    pub fn topics(&self) -> Result<Vec<TopicValue>> {
        self.cursor.topics()
    }

    /// The sink's own state in the journal.
    pub fn state(&self) -> Result<BTreeMap<String, Vec<u8>>> {
        self.cursor.state()
    }

    /// Call `wake` after every commit and sync; it must not block.
    pub fn on_progress(&self, wake: crate::shared::Wake) {
        self.cursor.on_progress(wake);
    }

    /// Wait for frames up to `timeout`, then for more up to `linger` or until the encoder is full. Returns the positions that the batch covers; none if nothing
    /// came, or if the sink must stop.
    ///
    /// A damaged row ends a batch before it; the batch that would begin with the row is the error.
    pub fn next(
        &mut self,
        encoder: &mut impl Encoder,
        linger: Duration,
        timeout: Duration,
    ) -> Result<Option<Range<u64>>> {
        let from = self.next;
        let is_stopped = || self.stop.is_set();
        if is_stopped() || !self.cursor.wait_readable(from, timeout, is_stopped) || is_stopped() {
            return Ok(None);
        }
        let mut end = from;
        let until = Instant::now() + linger;
        while !encoder.is_full() {
            let extended = self.read(&mut end, encoder);
            if extended.is_err() && end > from {
                break;
            }
            if !extended? {
                if Instant::now() >= until {
                    break;
                }
                self.stop.flag.wait(linger.min(COLLECT_EVERY));
            }
            if self.stop.is_set() {
                break;
            }
        }
        self.next = end;
        Ok((end > from).then_some(from..end))
    }

    /// Give the encoder the frames from `end` on that can be read without waiting, until it is full, and move `end` behind them. False if there were none.
    pub fn read(&mut self, end: &mut u64, encoder: &mut impl Encoder) -> Result<bool> {
        let begun = self
            .rest
            .take()
            .filter(|row| (row.first..row.end()).contains(end));
        let rows = match begun {
            Some(row) => vec![row],
            None => self.cursor.read(*end, READ_BYTES)?,
        };
        for row in &rows {
            if !self.cursor.takes(row)? {
                *end = row.end();
                continue;
            }
            let info = self.cursor.origin(row.origin)?;
            let from = *end;
            for frame in row.frames().filter(|f| f.position >= from) {
                if encoder.is_full() {
                    self.rest = Some(Arc::clone(row));
                    return Ok(true);
                }
                let decoded = if encoder.wants(&info, &frame) {
                    info.decode(&frame, &mut self.scan).ok()
                } else {
                    None
                };
                encoder.frame(&info, &frame, decoded.as_ref());
                *end = frame.position + 1;
            }
        }
        Ok(!rows.is_empty())
    }

    /// Give the encoder the newest frames: a few at most, and none from before `behind`. This does not change the next batch.
    pub fn newest(&mut self, behind: u64, encoder: &mut impl Encoder) -> Result<Range<u64>> {
        let visible = self.cursor.visible();
        let from = visible.saturating_sub(NEWEST_FRAMES).max(behind);
        let rest = self.rest.take();
        let mut end = from;
        while end < visible && self.read(&mut end, encoder)? {}
        self.rest = rest;
        Ok(from..end)
    }

    /// Behind the last committed frame.
    pub fn head(&self) -> u64 {
        self.cursor.head()
    }

    /// Begin again at `to`, or at the oldest kept frame behind it, because the other side has only the frames before that. With `count_lost`, frames that the
    /// journal no longer has are counted as lost by the peer. Queued confirmations must be settled before.
    pub fn go_back(&mut self, to: u64, count_lost: bool) -> Result<GoneBack> {
        let gone = self.cursor.go_back(to, count_lost)?;
        self.begin_at(gone.position);
        Ok(gone)
    }

    /// Settle everything before `to`, which the other side has, and begin there.
    pub fn confirm_ahead(&mut self, to: u64) -> Result<()> {
        self.cursor.confirm_ahead(to)?;
        self.begin_at(self.cursor.position());
        Ok(())
    }

    fn begin_at(&mut self, position: u64) {
        self.confirmations.queued.store(position, Ordering::Release);
        self.next = position;
        self.rest = None;
    }

    /// Begin again behind the confirmed frames. Frames whose confirmation is queued need not be sent again: the confirmation is committed before the journal
    /// closes.
    pub fn rewind(&mut self) {
        let queued = self.confirmations.queued.load(Ordering::Acquire);
        self.next = self.cursor.position().max(queued);
        self.rest = None;
    }
}

impl Confirmations {
    /// Queue a confirmation once the one before it is committed, so that the commit goes on while the next batch is sent. False if that would require waiting
    /// and `wait` is false.
    pub fn confirm(&self, confirmation: Confirmation, wait: bool) -> Result<bool> {
        let before = self.queued.load(Ordering::Acquire);
        let look = if wait { LOOK_EVERY } else { Duration::ZERO };
        while !self.confirmer.wait_settled(before, look) && !self.stop.is_set() {
            if !wait {
                return Ok(false);
            }
        }
        self.queue(confirmation)?;
        Ok(true)
    }

    /// Queue a confirmation without waiting for the one before it.
    pub fn queue(&self, confirmation: Confirmation) -> Result<()> {
        let end = confirmation.end;
        self.confirmer.confirm(confirmation)?;
        self.queued.store(end, Ordering::Release);
        Ok(())
    }

    /// Store and sync the rejects that the other side is about to be told to leave out of a batch that begins at `from`. They become final when the cursor
    /// passes them; the next call for the same batch replaces them. False if the disk does not store them in time.
    pub fn provisional(
        &self,
        from: u64,
        rejects: Vec<SinkReject>,
        timeout: Duration,
    ) -> Result<bool> {
        self.confirmer.provisional(from, rejects, timeout)
    }

    /// Change the sink's own state, without a frame, and wait until that is committed. Queued confirmations must be settled before.
    pub fn keep(&self, changes: StateChanges) -> Result<()> {
        self.confirmer.keep(changes)
    }

    /// Wait until everything that was queued is committed; false if that takes longer.
    pub fn settled(&self, timeout: Duration) -> bool {
        let queued = self.queued.load(Ordering::Acquire);
        self.confirmer.wait_settled(queued, timeout)
    }

    /// Wait until everything that was queued is committed, or the sink is to stop.
    pub fn settle(&self) {
        let queued = self.queued.load(Ordering::Acquire);
        while !self.confirmer.wait_settled(queued, LOOK_EVERY) && !self.stop.is_set() {}
    }
}
