//! The end of a connection from within: its reason, and who is to blame for it.

use std::fmt;

use crate::ended::EndKind;
use crate::reasons::{self, Fault};

/// What the end of a connection says about the publishes that were in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Nothing.
    Nothing,
    /// Silence, which may also come from the network.
    Silence,
    /// The connection broke without a reason.
    Unclear,
    /// The broker said that one of them cannot be taken.
    Value,
}

/// An end with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub kind: EndKind,
    pub detail: String,
    pub blame: Blame,
    /// The reason code of MQTT 5 that came with it.
    pub code: Option<u8>,
}

impl Failure {
    pub fn new(kind: EndKind, detail: impl Into<String>) -> Self {
        let blame = match kind {
            EndKind::Lost | EndKind::Protocol => Blame::Unclear,
            EndKind::AckTimeout => Blame::Silence,
            _ => Blame::Nothing,
        };
        Self {
            kind,
            detail: detail.into(),
            blame,
            code: None,
        }
    }

    /// The broker ended it with a DISCONNECT.
    pub fn disconnected(code: u8, text: Option<&str>) -> Self {
        let word = reasons::word(code);
        let text = text.map_or_else(String::new, |text| format!(", {text}"));
        let blame = match reasons::of_disconnect(code) {
            Fault::Value => Blame::Value,
            Fault::Unclear => Blame::Unclear,
            Fault::Session | Fault::Ours | Fault::Later => Blame::Nothing,
        };
        Self {
            kind: reasons::kind_of_disconnect(code),
            detail: format!("the broker disconnected: {word} ({code:#04x}{text})"),
            blame,
            code: Some(code),
        }
    }

    /// The network fell silent.
    pub fn silent(detail: impl Into<String>) -> Self {
        Self {
            blame: Blame::Silence,
            ..Self::new(EndKind::Lost, detail)
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.detail)
    }
}

/// A failure that passes through the client library as the error of our own connector.
impl std::error::Error for Failure {}

/// The kind and text of a failure that came through the library: from our own connector, or from TLS.
pub fn failure_within(error: &(dyn std::error::Error + 'static)) -> Option<Failure> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(failure) = error.downcast_ref::<Failure>() {
            return Some(failure.clone());
        }
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(Failure::new(EndKind::Tls, tls.to_string()));
        }
        // `io::Error::source` skips the error it wraps, so look at it here.
        if let Some(inner) = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
            && let Some(failure) = failure_within(inner)
        {
            return Some(failure);
        }
        next = error.source();
    }
    None
}
