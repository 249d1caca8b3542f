//! The window, the memory and the clock of a source whose rejects are offered again: a copy, until the retry is committed.

use crate::error::Result;
use crate::memory::{Given, Memory, MemoryDelta, Said, Stamping};
use crate::receivers::{ReceiverId, Uptime};
use crate::row::NewTimes;
use crate::source::{Clocks, Stored, stored, write_window};
use crate::state::State;
use crate::wall_clock::now_ns;
use iiot_core::window::{Delta, Reception, Window};
use rusqlite::params;
use std::time::Duration;

/// The node's time in a document, if known, and the time when the document came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodeTime {
    pub receiver: Option<ReceiverId>,
    pub uptime_ms: Option<u64>,
    pub counter: Option<u64>,
    pub uptime_bits: u32,
    pub received_at_ns: i64,
}

/// Recognises repeats among documents that are judged long after they came.
#[derive(Debug)]
pub(crate) struct Judge {
    /// The row of the source; none if the journal does not know it.
    id: Option<i64>,
    clocks: Clocks,
    /// No document before the retry had a node time, so the documents of the retry are the first, in their order.
    begins_clock: bool,
    window: Window,
    window_ms: i64,
    window_bytes: usize,
    memory: Memory,
    delta: MemoryDelta,
}

impl Judge {
    /// For the source of this name: from its running state, or else from its stored state.
    pub(crate) fn load(state: &State, name: &str, dedup_window: Duration) -> Result<Self> {
        let window_ms = i64::try_from(dedup_window.as_millis()).unwrap_or(i64::MAX);
        let running = state.sources.iter().rfind(|s| s.name == name);
        let found = match running {
            Some(s) => Some(Stored {
                id: s.id,
                clocks: s.clocks.clone(),
                window: s.window.clone(),
                memory: s.memory.clone(),
            }),
            None => stored(&state.db, name, window_ms)?,
        };
        let id = found.as_ref().map(|found| found.id);
        let Stored {
            clocks,
            window,
            memory,
            ..
        } = found.unwrap_or_else(|| Stored::nothing(window_ms));
        Ok(Self {
            id,
            begins_clock: clocks.node.now_ms().is_none(),
            clocks,
            window,
            window_ms,
            window_bytes: 0,
            memory,
            delta: MemoryDelta::default(),
        })
    }

    /// The times of a document; `otherwise` gives the time if the document has none. `None` if it repeats an accepted document.
    pub(crate) fn times(&mut self, said: &Said<'_>, mut otherwise: i64) -> Option<Given> {
        if said.points.is_empty() {
            return Some(Given {
                times: NewTimes::at(otherwise, said.received_at_ns),
                is_doubted: false,
                is_stamped: true,
            });
        }
        let mut stamp = || std::mem::take(&mut otherwise);
        let stamping = Stamping::Source(&mut stamp);
        self.memory.judge(&mut self.delta, said, stamping, true)
    }

    /// Accept a document unless it repeats one that was accepted. Returns the counts; none for a repeat.
    pub(crate) fn accept(&mut self, receptions: &[Reception], time: NodeTime) -> Option<Delta> {
        let receivers = &self.memory.receivers;
        let first = &mut self.clocks.first;
        let has_uptime = time.uptime_ms.is_some();
        let receiver = receivers.number(&self.delta.receivers, first, time.receiver, has_uptime);
        let at_ms = match receiver {
            0 => Some(self.node_ms(time)),
            _ => self.further_ms(receiver, time),
        };
        let Some(at_ms) = at_ms else {
            // There is no room for its receiver.
            let mut noted = Delta::default();
            noted.not_remembered = receptions.len() as u64;
            return Some(noted);
        };
        let (window, window_ms) = (&mut self.window, self.window_ms);
        let none = Delta::default();
        let is_repeat = window.is_duplicate(&none, receiver, receptions, at_ms, window_ms);
        (!is_repeat).then(|| window.accept_late(receiver, receptions, at_ms, window_ms))
    }

    /// The time of a document of another receiver than the first.
    fn further_ms(&mut self, receiver: u64, time: NodeTime) -> Option<i64> {
        let receivers = &self.memory.receivers;
        let delta = &mut self.delta.receivers;
        if time.receiver.is_some_and(|id| !id.has_clock) {
            return receivers.hear(delta, receiver, time.received_at_ns);
        }
        let Some(uptime_ms) = time.uptime_ms else {
            return receivers.now_ms(delta, receiver);
        };
        let uptime = Uptime {
            ms: uptime_ms,
            counter: time.counter,
            bits: time.uptime_bits,
            received_at_ns: time.received_at_ns,
        };
        let begin_ms = self.clocks.node.now_ms().unwrap_or(0);
        receivers
            .revisit(receiver, uptime)
            .or_else(|| receivers.advance(delta, receiver, begin_ms, uptime))
    }

    fn node_ms(&mut self, time: NodeTime) -> i64 {
        let node = &mut self.clocks.node;
        match time.uptime_ms {
            Some(uptime) if self.begins_clock => {
                node.advance(uptime, time.counter, time.uptime_bits)
            }
            // An uptime from before a restart lies ahead of the present one. It would look like the future, and push everything out of the window.
            Some(uptime) => node
                .revisit(uptime, time.counter, time.uptime_bits)
                .min(node.now_ms().unwrap_or(i64::MAX)),
            None => node.now_ms().unwrap_or(time.received_at_ns / 1_000_000),
        }
    }

    /// Write clock and window, in the transaction of the retry. The whole window is written: late receptions in the log would move sequences back
    /// when they are applied again.
    pub(crate) fn write(&mut self, state: &State) -> Result<()> {
        if let Some(id) = self.id {
            state
                .db
                .prepare_cached("UPDATE source SET state=?2 WHERE id=?1")?
                .execute(params![id, self.clocks.encode()])?;
            self.window_bytes = write_window(&state.db, id, &self.window)?;
            Memory::log(&state.db, id, &self.delta.encode())?;
        }
        Ok(())
    }

    /// Let a running source continue from the committed state.
    pub(crate) fn merge(self, state: &mut State) {
        let running = state.sources.iter_mut().rfind(|s| Some(s.id) == self.id);
        if let Some(source) = running {
            source.clocks = self.clocks;
            source.window = self.window;
            source.window_bytes = self.window_bytes;
            source.log_bytes = 0;
            source.memory = self.memory;
            source.memory.merge(self.delta, 0, now_ns());
        }
    }
}
