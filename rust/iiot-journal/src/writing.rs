//! Takes everything that has arrived since the last commit, commits it as one group, and wakes the threads that wait: in the writer's thread, or in a
//! source's own.

use crate::error::{Error, Result};
use crate::mutex::lock;
use crate::queue::{Message, Queue, add_confirmation};
use crate::schema;
use crate::shared::Shared;
use crate::writer::{Writer, compact, group_size, uncommitted};
use std::sync::atomic::Ordering;
use std::sync::{PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// How long to wait before a failed commit is tried again.
const RETRY: Duration = Duration::from_millis(250);
/// A source's thread whose commit took this long leaves commits to the writer's thread for a while.
const SLOW: Duration = Duration::from_millis(20);
const SLOW_PAUSE: Duration = Duration::from_secs(10);
/// Without traffic the thread wakes this often, for the age limit.
const IDLE: Duration = Duration::from_secs(30);

impl Writer {
    /// Take everything from the queue. Returns whether the journal is being closed.
    fn take(&mut self, shared: &Shared) -> bool {
        let mut queue = lock(&shared.queue);
        self.work.messages.append(&mut queue.messages);
        for (sink, confirmation) in queue.confirmations.drain(..) {
            add_confirmation(&mut self.work.confirmations, sink, confirmation);
        }
        for (source, documents) in queue.lost.drain() {
            *self.work.lost.entry(source).or_default() += documents;
        }
        queue.left_over = false;
        queue.stopping
    }

    /// Run the command at the front, or commit one group. After an error all of it stays in the work. The caller has entered the gate.
    fn step(&mut self, shared: &Shared) -> Result<()> {
        if matches!(self.work.messages.front(), Some(Message::Command(_))) {
            if let Some(Message::Command(command)) = self.work.messages.pop_front() {
                let tell = command(&mut self.state);
                shared.gate.leave_writer();
                shared.publish(&mut self.state, &[], self.first_ticket, &[]);
                tell();
                self.first_ticket += 1;
            }
            return Ok(());
        }
        let count = group_size(&self.work.messages, self.limit);
        let outcome = self.commit(count);
        shared.gate.leave_writer();
        let (rows, done) = outcome?;
        self.first_ticket += count as u64;
        self.limit = (self.limit * 2).min(shared.group_bytes);
        shared.publish(&mut self.state, &rows, self.first_ticket - 1, &done);
        compact(&mut self.state);
        if self.wal_pages.load(Ordering::Relaxed) > shared.wal_pages_soft {
            shared.checkpoint.request();
        }
        Ok(())
    }

    /// The disk stored nothing. Commit at least the confirmations of sinks, which free room and need little; then wait before the next
    /// attempt.
    fn stalled(&mut self, shared: &Shared, error: &Error) {
        shared.stall(error, std::mem::take(&mut self.work.lost));
        shared.gate.enter_writer();
        let outcome = self.commit(0);
        shared.gate.leave_writer();
        if let Ok((rows, _)) = outcome {
            shared.advance(&mut self.state, &rows, self.first_ticket - 1);
        }
        self.limit = (self.limit / 2).max(1);
    }

    /// Accept nothing more. Frames that can be given again are not lost; the others are counted as lost, if the disk still stores that
    /// count.
    fn give_up(&mut self, shared: &Shared) {
        let mut lost = uncommitted(&self.state, &self.work);
        for (source, documents) in lock(&shared.queue).lost.drain() {
            *lost.entry(source).or_default() += documents;
        }
        lock(&shared.progress).uncommitted = lost.values().sum();
        self.work.lost = lost;
        shared.gate.enter_writer();
        let _ = self.commit(0);
        shared.gate.leave_writer();
    }
}

/// Run until the journal is closed and everything that can be committed is committed. The writer stays in `shared`.
pub(crate) fn run(shared: &Shared) {
    loop {
        let is_idle = wait(shared);
        let mut held = lock(&shared.writer);
        let Some(writer) = held.as_mut() else {
            return;
        };
        let mut stopping = writer.take(shared);
        if writer.work.is_empty() && stopping {
            return;
        }
        if writer.work.is_empty() && !is_idle {
            continue; // a source's thread was faster
        }
        // An empty group is committed as well: it removes frames that are too old.
        loop {
            if writer.wal_pages.load(Ordering::Relaxed) > shared.wal_pages_hard {
                shared.checkpoint.request();
                shared.checkpoint.wait(Duration::from_secs(2));
            }
            shared.gate.enter_writer();
            let Err(error) = writer.step(shared) else {
                if writer.work.is_empty() {
                    break;
                }
                stopping = writer.take(shared);
                continue;
            };
            writer.stalled(shared, &error);
            if stopping {
                writer.give_up(shared);
                return;
            }
            shared.checkpoint.request();
            shared.wait_retry(RETRY);
            stopping = writer.take(shared);
        }
    }
}

/// Commit the queue on the caller's thread, if that needs no waiting: no other thread commits, and nothing is being synced or moved. The hop
/// to the writer's thread would cost a lone frame more than its commit. Otherwise, and if the disk refuses, the writer's thread commits it.
pub(crate) fn lead(shared: &Shared) {
    let led = || {
        if shared.syncing.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let mut held = match shared.writer.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let writer = held.as_mut()?;
        let is_small = |queue: &Queue| {
            queue.messages.len() == 1
                && matches!(queue.messages.front(), Some(Message::Documents { .. }))
        };
        let began = Instant::now();
        if !writer.work.is_empty()
            || writer.slow_until.is_some_and(|until| began < until)
            || !is_small(&lock(&shared.queue))
            || writer.wal_pages.load(Ordering::Relaxed) > shared.wal_pages_hard
            || !shared.gate.try_enter_writer()
        {
            return None;
        }
        writer.take(shared);
        // Another process that uses the file would make it wait.
        let at_once = writer.state.db.busy_timeout(Duration::ZERO);
        let outcome = writer.step(shared);
        let patient = writer.state.db.busy_timeout(schema::BUSY_TIMEOUT);
        if began.elapsed() > SLOW {
            writer.slow_until = Some(Instant::now() + SLOW_PAUSE);
        }
        if outcome.is_err() || at_once.and(patient).is_err() || !writer.work.is_empty() {
            lock(&shared.queue).left_over = true;
            return None;
        }
        Some(())
    };
    if led().is_none() {
        shared.queue_filled.notify_one();
    }
}

/// Wait for work or the end; true if it is time to look for old frames instead.
fn wait(shared: &Shared) -> bool {
    let queue = lock(&shared.queue);
    let (_queue, outcome) = shared
        .queue_filled
        .wait_timeout_while(queue, IDLE, |q| q.is_empty() && !q.stopping)
        .unwrap_or_else(PoisonError::into_inner);
    outcome.timed_out()
}
