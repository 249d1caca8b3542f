//! Reads a port or a pipe into an intake, on a thread of its own that holds the interpreter's lock only for a listener.

use iiot_journal::{Intake, now_ns};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustix::event::{PollFd, PollFlags, poll};
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

const CHUNK_BYTES: usize = 65536;
/// How many of the last bytes are kept, to find out why the other end died.
const TAIL_BYTES: usize = 4096;

/// The counts so far. Times are Unix milliseconds, 0 for never.
#[derive(Default)]
pub(crate) struct Traffic {
    bytes: AtomicU64,
    last_bytes_ms: AtomicU64,
    documents: AtomicU64,
    last_document_ms: AtomicU64,
}

impl Traffic {
    fn count(&self, bytes: usize, documents: usize, at_ns: i64) {
        let now_ms = at_ns.unsigned_abs() / 1_000_000;
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.last_bytes_ms.store(now_ms, Ordering::Relaxed);
        if documents > 0 {
            self.documents
                .fetch_add(documents as u64, Ordering::Relaxed);
            self.last_document_ms.store(now_ms, Ordering::Relaxed);
        }
    }

    /// Bytes, time of the last ones in Unix seconds, documents, time of the last document.
    pub(crate) fn get(&self) -> (u64, f64, u64, f64) {
        let seconds = |ms: &AtomicU64| ms.load(Ordering::Relaxed) as f64 / 1000.0;
        (
            self.bytes.load(Ordering::Relaxed),
            seconds(&self.last_bytes_ms),
            self.documents.load(Ordering::Relaxed),
            seconds(&self.last_document_ms),
        )
    }
}

/// Read and push each chunk until the other end, or that of `stop`, hangs up. Returns the last bytes. No bytes that were read are lost.
pub(crate) fn read(
    core: &Mutex<Intake>,
    traffic: &Traffic,
    descriptor: RawFd,
    stop: RawFd,
    listener: Option<&Py<PyAny>>,
) -> PyResult<Vec<u8>> {
    // SAFETY: the caller keeps both open until this returns.
    let (descriptor, stop) = unsafe {
        (
            BorrowedFd::borrow_raw(descriptor),
            BorrowedFd::borrow_raw(stop),
        )
    };
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut tail = Vec::new();
    loop {
        let mut watched = [
            PollFd::new(&descriptor, PollFlags::IN),
            PollFd::new(&stop, PollFlags::IN),
        ];
        match poll(&mut watched, None) {
            Err(rustix::io::Errno::INTR) => continue,
            outcome => outcome.map_err(io::Error::from)?,
        };
        let [comes, stops] = watched.map(|fd| !fd.revents().is_empty());
        if comes {
            let length = match rustix::io::read(descriptor, &mut chunk) {
                // Another reader of the port has taken the bytes.
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => None,
                outcome => Some(outcome.map_err(io::Error::from)?),
            };
            let Some(length) = length else {
                if stops {
                    return Ok(tail);
                }
                continue;
            };
            let bytes = chunk.get(..length).unwrap_or_default();
            if bytes.is_empty() {
                return Ok(tail);
            }
            let now_ns = now_ns();
            let pushed = core
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(bytes, now_ns);
            let documents =
                pushed.map_err(|error| Python::attach(|py| crate::errors::journal(py, &error)))?;
            traffic.count(length, documents, now_ns);
            keep_tail(&mut tail, bytes);
            if let Some(listener) = listener {
                Python::attach(|py| {
                    if let Err(error) = listener.call1(py, (PyBytes::new(py, bytes),)) {
                        // An error in the listener has no effect on the bytes, because the journal already has them.
                        error.write_unraisable(py, Some(listener.bind(py)));
                    }
                });
            }
        }
        if stops {
            return Ok(tail);
        }
    }
}

fn keep_tail(tail: &mut Vec<u8>, bytes: &[u8]) {
    let new = bytes
        .get(bytes.len().saturating_sub(TAIL_BYTES)..)
        .unwrap_or_default();
    let surplus = (tail.len() + new.len()).saturating_sub(TAIL_BYTES);
    tail.drain(..surplus.min(tail.len()));
    tail.extend_from_slice(new);
}
