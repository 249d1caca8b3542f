//! `Profile`, `Decoder`, `Pacer`: decoding without a journal.

use crate::errors;
use iiot_core::scan::{Scan, ScanFault, ScanFaultReason};
use iiot_core::{ChannelFramer, Framed, Origin, quote};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Rules that turn documents into points.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct Profile {
    pub core: Arc<iiot_core::Profile>,
}

#[pymethods]
impl Profile {
    #[staticmethod]
    fn parse(py: Python<'_>, text: &str) -> PyResult<Self> {
        let core = iiot_core::Profile::parse(text).map_err(|e| errors::profile(py, &e))?;
        Ok(Self {
            core: Arc::new(core),
        })
    }

    #[getter]
    fn name(&self) -> &str {
        self.core.name()
    }

    #[getter]
    fn hash(&self) -> String {
        format!("{:016x}", self.core.hash())
    }

    fn may_give(&self, measurement: &str, field: &str) -> bool {
        self.core.may_give_field(measurement, field)
    }

    fn heard(&self, document: &[u8]) -> Vec<(String, Option<u64>, u64)> {
        let mut scan = Scan::new();
        // A document without a usable value still names its node.
        let _ = self.core.scan(document, &mut scan);
        let heard = scan.heard();
        heard
            .map(|(node, it)| (node.to_owned(), it.boot, it.seq))
            .collect()
    }
}

struct Decoding {
    framer: ChannelFramer,
    scan: Scan,
}

/// Decode without a journal.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct Decoder {
    profile: Arc<iiot_core::Profile>,
    origin: Origin,
    state: Mutex<Decoding>,
}

/// The result of one chunk.
#[pyclass(frozen, module = "iiot_gateway._native")]
#[derive(Default)]
pub(crate) struct Decoded {
    #[pyo3(get)]
    documents: usize,
    #[pyo3(get)]
    points: usize,
    lines: Vec<u8>,
    publishes: Vec<(Vec<u8>, Vec<u8>, bool)>,
    rejects: Vec<(u64, String, String)>,
    #[pyo3(get)]
    unused_times: Vec<String>,
    #[pyo3(get)]
    ignored: BTreeMap<String, u64>,
}

#[pymethods]
impl Decoder {
    #[new]
    #[pyo3(signature = (profile, *, topic_prefix, tags, max_document_bytes = 65_536, rtt_channel = None))]
    fn new(
        profile: &Profile,
        topic_prefix: &str,
        tags: BTreeMap<String, String>,
        max_document_bytes: usize,
        rtt_channel: Option<&str>,
    ) -> PyResult<Self> {
        let tags: Vec<_> = tags.into_iter().collect();
        let origin = Origin::new(&profile.core, topic_prefix, &tags)
            .map_err(|e| PyValueError::new_err(e.to_string()))?;
        let state = Decoding {
            framer: ChannelFramer::new(max_document_bytes, rtt_channel),
            scan: Scan::new(),
        };
        Ok(Self {
            profile: Arc::clone(&profile.core),
            origin,
            state: Mutex::new(state),
        })
    }

    /// Without `publishes`, only lines are written, for a benchmark.
    #[pyo3(signature = (chunk, received_at_ns, *, publishes = true))]
    fn push(&self, py: Python<'_>, chunk: &[u8], received_at_ns: i64, publishes: bool) -> Decoded {
        py.detach(|| {
            let mut decoded = Decoded::default();
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let Decoding { framer, scan } = &mut *state;
            framer.feed_with(chunk, &self.profile, scan, |framed, found, fault| {
                self.take(
                    &mut decoded,
                    &framed,
                    found,
                    fault,
                    received_at_ns,
                    publishes,
                );
            });
            decoded
        })
    }

    /// Decode one message, which is a whole document.
    #[pyo3(signature = (document, received_at_ns, *, topic = None))]
    fn message(&self, document: &[u8], received_at_ns: i64, topic: Option<&str>) -> Decoded {
        let mut to = Decoded {
            documents: 1,
            ..Decoded::default()
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let scan = &mut state.scan;
        match self
            .profile
            .decode(topic.map(str::as_bytes), document, scan)
        {
            Ok(found) => self.found(&mut to, found, 0, received_at_ns, true),
            Err(fault) => to.refuse(&fault, document, 0),
        }
        to
    }

    /// End the stream: a document that is still open is damaged.
    fn finish(&self, received_at_ns: i64) -> Decoded {
        let mut decoded = Decoded::default();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Decoding { framer, scan } = &mut *state;
        framer.finish(&self.profile, scan, |framed, found, fault| {
            self.take(&mut decoded, &framed, found, fault, received_at_ns, true);
        });
        decoded
    }
}

impl Decoder {
    fn take(
        &self,
        to: &mut Decoded,
        framed: &Framed<'_>,
        found: iiot_core::Decoded<'_>,
        fault: Option<ScanFault>,
        received_at_ns: i64,
        publishes: bool,
    ) {
        to.documents += 1;
        match (*framed, fault) {
            (
                Framed::Damaged {
                    reason,
                    excerpt: bytes,
                    at,
                    ..
                },
                _,
            ) => to.rejects.push((at, reason.to_string(), quote(bytes))),
            (Framed::Document { bytes, offset, .. }, Some(fault)) => {
                to.refuse(&fault, bytes, offset);
            }
            (Framed::Document { offset, .. }, None) => {
                self.found(to, found, offset, received_at_ns, publishes);
            }
        }
    }

    /// Add the result of a document that begins at `offset`.
    fn found(
        &self,
        to: &mut Decoded,
        found: iiot_core::Decoded<'_>,
        offset: u64,
        received_at_ns: i64,
        publishes: bool,
    ) {
        let time = found.time_alone(received_at_ns);
        let unused = found.unused_times(received_at_ns);
        to.unused_times
            .extend(unused.iter().map(ToString::to_string));
        to.points += found.write_lines(&self.origin, time, &mut to.lines);
        to.add_value_faults(found.document(), &found, offset);
        if publishes {
            found.publishes(&self.origin, |p| {
                to.publishes
                    .push((p.topic.to_vec(), p.payload.to_vec(), p.retain));
            });
        }
    }
}

impl Decoded {
    /// Add the reject of a document that begins at `offset`.
    fn refuse(&mut self, fault: &ScanFault, document: &[u8], offset: u64) {
        if let ScanFaultReason::Ignored { name } = &fault.reason {
            *self.ignored.entry(name.to_string()).or_default() += 1;
        } else {
            let at = offset + fault.at as u64;
            self.rejects.push((at, fault.to_string(), quote(document)));
        }
    }

    /// Add the unusable values of a document that begins at `offset`.
    fn add_value_faults(&mut self, document: &[u8], scan: &Scan, offset: u64) {
        for f in scan.value_faults() {
            self.rejects.push((
                offset + f.start as u64,
                format!("{}: {}", f.path, f.reason),
                quote(document.get(f.start..f.end).unwrap_or_default()),
            ));
        }
    }
}

#[pymethods]
impl Decoded {
    fn lines<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.lines)
    }

    fn publishes<'py>(
        &self,
        py: Python<'py>,
    ) -> Vec<(Bound<'py, PyBytes>, Bound<'py, PyBytes>, bool)> {
        let bytes = |text: &[u8]| PyBytes::new(py, text);
        let publishes = self.publishes.iter();
        publishes
            .map(|(topic, payload, retain)| (bytes(topic), bytes(payload), *retain))
            .collect()
    }

    fn rejects(&self) -> Vec<(u64, String, String)> {
        self.rejects.clone()
    }
}

/// Cuts a recording into pieces by the node's own clock.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct Pacer {
    core: Mutex<iiot_core::Pacer>,
}

#[pymethods]
impl Pacer {
    #[new]
    #[pyo3(signature = (profile, *, max_document_bytes = 65_536, rtt_channel = None))]
    fn new(profile: &Profile, max_document_bytes: usize, rtt_channel: Option<&str>) -> Self {
        let framer = ChannelFramer::new(max_document_bytes, rtt_channel);
        let core = iiot_core::Pacer::new(Arc::clone(&profile.core), framer);
        Self {
            core: Mutex::new(core),
        }
    }

    fn skip(&self, chunk: &[u8]) {
        self.core().skip(chunk);
    }

    fn push(&self, chunk: &[u8]) -> Vec<(u64, i64)> {
        self.core().push(chunk)
    }
}

impl Pacer {
    fn core(&self) -> MutexGuard<'_, iiot_core::Pacer> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Profile>()?;
    module.add_class::<Decoder>()?;
    module.add_class::<Decoded>()?;
    module.add_class::<Pacer>()
}
