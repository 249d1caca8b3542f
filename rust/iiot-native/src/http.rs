//! `Poster` and `Answer`: one POST per call.

use crate::crossings;
use crate::errors::HttpError;
use crate::lines::LineBatch;
use crate::seconds::seconds;
use iiot_http::{Config, EXPLANATION_BYTES, Poster as Core};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::collections::BTreeMap;

/// A persistent HTTP connection that posts line protocol.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct Poster {
    core: Core,
}

/// The result of a request.
#[pyclass(frozen, module = "iiot_gateway._native")]
pub(crate) struct Answer {
    core: iiot_http::Answer,
}

#[pymethods]
impl Poster {
    #[new]
    #[pyo3(signature = (url, *, headers, timeout_s = 30.0, gzip = true, ca_file = None, max_body_bytes = EXPLANATION_BYTES), text_signature = "(url, *, headers, timeout_s=30.0, gzip=True, ca_file=None, max_body_bytes=65536)")]
    fn new(
        url: String,
        headers: BTreeMap<String, String>,
        timeout_s: f64,
        gzip: bool,
        ca_file: Option<String>,
        max_body_bytes: usize,
    ) -> PyResult<Self> {
        let config = Config {
            url,
            headers: headers.into_iter().collect(),
            timeout: seconds("timeout_s", timeout_s)?,
            gzip,
            ca_file,
            max_body_bytes,
        };
        Ok(Self {
            core: Core::new(config).map_err(|e| HttpError::new_err(e.to_string()))?,
        })
    }

    #[pyo3(signature = (batch, *, first = 0, end = None))]
    fn post(
        &self,
        py: Python<'_>,
        batch: &LineBatch,
        first: usize,
        end: Option<usize>,
    ) -> PyResult<Answer> {
        crossings::count();
        let lines = &batch.core;
        let end = end.unwrap_or(lines.len());
        let Some(body) = lines.part(first..end) else {
            return Err(PyIndexError::new_err(format!(
                "lines {first}..{end} of a batch of {}",
                lines.len()
            )));
        };
        let core = match &lines.gzipped {
            Some(whole) if (first, end) == (0, lines.len()) => {
                py.detach(|| self.core.post_gzipped(whole))
            }
            _ => py.detach(|| self.core.post(body)),
        };
        Ok(Answer { core })
    }

    /// POST bytes unchanged, for callers without a batch (a benchmark, the line of `doctor`).
    fn post_bytes(&self, py: Python<'_>, body: &[u8]) -> Answer {
        Answer {
            core: py.detach(|| self.core.post(body)),
        }
    }

    fn get(&self, py: Python<'_>, url: &str) -> Answer {
        Answer {
            core: py.detach(|| self.core.get(url)),
        }
    }

    fn cancel(&self) {
        self.core.cancel();
    }
}

#[pymethods]
impl Answer {
    #[getter]
    fn status(&self) -> u16 {
        crossings::count();
        self.core.status
    }

    #[getter]
    fn error(&self) -> Option<&'static str> {
        crossings::count();
        self.core.failure.map(iiot_http::Failure::as_str)
    }

    #[getter]
    fn detail(&self) -> &str {
        crossings::count();
        &self.core.detail
    }

    #[getter]
    fn retry_after_s(&self) -> Option<f64> {
        crossings::count();
        self.core.retry_after.map(|d| d.as_secs_f64())
    }

    #[getter]
    fn content_type(&self) -> &str {
        crossings::count();
        &self.core.content_type
    }

    #[getter]
    fn location(&self) -> &str {
        crossings::count();
        &self.core.location
    }

    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        crossings::count();
        PyBytes::new(py, &self.core.body)
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Poster>()?;
    module.add_class::<Answer>()
}
