//! Tests whether a broker accepts and delivers our publishes (for `doctor`), and whether it answers at all.

use std::pin::pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::time::timeout;

use crate::checked::{Checked, check};
use crate::client::{Acknowledgement, Events, Requests, Setup, Signal};
use crate::config::{Config, Protocol};
use crate::config_error::ConfigError;
use crate::destination::{filter_fault, topic_fault};
use crate::ended::EndKind;
use crate::failure::Failure;
use crate::reasons::{NOT_AUTHORIZED, QUOTA_EXCEEDED};
use crate::{client_v4, client_v5};

const SHARED: &str = "$share/";

/// The steps of a probe, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeStep {
    /// CONNECT to CONNACK.
    Connect,
    /// SUBSCRIBE granted.
    Subscribe,
    /// PUBLISH acknowledged.
    Publish,
    /// The message came back.
    ReadBack,
}

impl ProbeStep {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Subscribe => "subscribe",
            Self::Publish => "publish",
            Self::ReadBack => "read_back",
        }
    }
}

/// The result of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeReport {
    /// The first step that failed, or `None`.
    pub failed: Option<ProbeStep>,
    /// Why it ended so.
    pub kind: Option<EndKind>,
    /// For people.
    pub detail: String,
}

/// Connect, subscribe to `filter`, publish to `topic` (unretained, `QoS 1`), read it back, disconnect. Blocks up to `within`. The filter matches the topic, and may be a
/// shared one.
/// Without a last will and without availability messages, whatever the configuration says.
pub fn probe(
    config: Config,
    topic: &str,
    filter: &str,
    within: Duration,
) -> Result<ProbeReport, ConfigError> {
    let config = Config {
        availability_topic: String::new(),
        health_topic: String::new(),
        ..config
    };
    if let Some(fault) = filter_fault(filter) {
        return Err(ConfigError::new("filter", fault));
    }
    if let Some(fault) = topic_fault(topic) {
        return Err(ConfigError::new("topic", fault));
    }
    let checked = check(config)?;
    let setup = checked.setup();
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return Ok(ProbeReport {
                failed: Some(ProbeStep::Connect),
                kind: Some(EndKind::Unreachable),
                detail: error.to_string(),
            });
        }
    };
    let report = runtime.block_on(async {
        match checked.config.protocol {
            Protocol::V311 => {
                let (mut events, requests) = client_v4::connection(&setup);
                run(&mut events, &requests, (topic, filter), within).await
            }
            Protocol::V5 => {
                let (mut events, requests) = client_v5::connection(&setup);
                run(&mut events, &requests, (topic, filter), within).await
            }
        }
    });
    runtime.shutdown_background();
    Ok(report)
}

/// Whether a broker answers a CONNECT now. A refusal is an answer, too. Blocks up to `within`.
pub(crate) fn is_answering(checked: &Checked, within: Duration) -> bool {
    let setup = Setup {
        // Under the same id it would end the very connection that it is about.
        client_id: format!("{}-witness", checked.config.client_id),
        will_topic: None,
        connect_timeout: within,
        ..checked.setup()
    };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
    else {
        return false;
    };
    let is_answering = runtime.block_on(async {
        match checked.config.protocol {
            Protocol::V311 => {
                let (mut events, requests) = client_v4::connection(&setup);
                timeout(within, answer(&mut events, &requests)).await
            }
            Protocol::V5 => {
                let (mut events, requests) = client_v5::connection(&setup);
                timeout(within, answer(&mut events, &requests)).await
            }
        }
    });
    runtime.shutdown_background();
    is_answering == Ok(true)
}

async fn answer<E: Events, R: Requests>(events: &mut E, requests: &R) -> bool {
    let mut is_answering = false;
    loop {
        match pin!(events.poll()).await {
            Ok(Signal::Connected(_)) => {
                is_answering = true;
                requests.disconnect();
            }
            Ok(Signal::Disconnected) => return is_answering,
            Ok(_) => {}
            Err(failure) => {
                return is_answering
                    || matches!(
                        failure.kind,
                        EndKind::Refused | EndKind::NotAuthorized | EndKind::Quota
                    );
            }
        }
    }
}

async fn run<E: Events, R: Requests>(
    events: &mut E,
    requests: &R,
    places: (&str, &str),
    within: Duration,
) -> ProbeReport {
    let mut step = ProbeStep::Connect;
    let (kind, detail) = match timeout(within, steps(events, requests, places, &mut step)).await {
        Ok(Ok(())) => {
            return ProbeReport {
                failed: None,
                kind: None,
                detail: "published and read back".to_owned(),
            };
        }
        Ok(Err(failure)) => (failure.kind, failure.detail),
        Err(_) if step == ProbeStep::Connect => (
            EndKind::Unreachable,
            format!("no CONNACK within {within:?}"),
        ),
        Err(_) => (EndKind::AckTimeout, format!("no answer within {within:?}")),
    };
    ProbeReport {
        failed: Some(step),
        kind: Some(kind),
        detail,
    }
}

async fn steps<E: Events, R: Requests>(
    events: &mut E,
    requests: &R,
    (topic, filter): (&str, &str),
    step: &mut ProbeStep,
) -> Result<(), Failure> {
    let nonce = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    let payload = Bytes::from(format!("probe {nonce}"));
    let mut came_back = false;
    loop {
        match pin!(events.poll()).await? {
            Signal::Connected(limits) => {
                *step = ProbeStep::Subscribe;
                if filter.starts_with(SHARED) && !limits.shared {
                    let why = "the broker says that it has no shared subscriptions";
                    return Err(Failure::new(EndKind::Refused, why));
                }
                requests.subscribe(vec![filter.to_owned()]);
            }
            Signal::Subscribed(granted) if granted == [true] => {
                *step = ProbeStep::Publish;
                if !requests.publish(topic, payload.clone(), 1, false, Vec::new()) {
                    return Err(Failure::new(
                        EndKind::Protocol,
                        "this topic cannot be published to",
                    ));
                }
            }
            Signal::Subscribed(_) => {
                return Err(Failure::new(
                    EndKind::NotAuthorized,
                    "the broker does not grant the subscription",
                ));
            }
            Signal::Answered(_, Acknowledgement::Accepted) => *step = ProbeStep::ReadBack,
            Signal::Answered(_, Acknowledgement::Refused(code, reason)) => {
                let kind = match code {
                    NOT_AUTHORIZED => EndKind::NotAuthorized,
                    QUOTA_EXCEEDED => EndKind::Quota,
                    _ => EndKind::Refused,
                };
                let detail = format!("the broker refuses the publish: {reason}");
                return Err(Failure::new(kind, detail));
            }
            Signal::Message { payload: got, .. } => came_back |= got == payload,
            Signal::Disconnected => return Ok(()),
            Signal::Sent(_) | Signal::Other => {}
        }
        if came_back && *step == ProbeStep::ReadBack {
            requests.disconnect();
            came_back = false;
        }
    }
}
