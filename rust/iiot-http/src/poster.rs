//! The persistent connection and its requests.

use crate::answer::{Answer, Failure, retry_after};
use crate::config::{Config, ConfigError, Target, headers, tls};
use crate::connect::{Sender, connect};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt, Full};
use hyper::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue,
    LOCATION, RETRY_AFTER, USER_AGENT,
};
use hyper::{Method, Request};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

/// The most characters of a header that are kept.
const MAX_HEADER_CHARS: usize = 500;

/// A compressed body.
#[derive(Debug, Clone)]
pub struct Gzipped(Bytes);

impl Gzipped {
    /// Level 1: a sixth of the size at an eighth of the time of level 6.
    pub fn of(body: &[u8]) -> Self {
        let mut encoder =
            GzEncoder::new(Vec::with_capacity(body.len() / 5 + 64), Compression::fast());
        // Writing to memory cannot fail. If it did, the body would be cut, and the peer would refuse it.
        let _ = encoder.write_all(body);
        Self(Bytes::from(encoder.finish().unwrap_or_default()))
    }
}

/// Posts bodies to one URL over one connection, which is opened when needed and then kept.
#[derive(Debug)]
pub struct Poster {
    target: Target,
    headers: Vec<(HeaderName, HeaderValue)>,
    tls: Option<Arc<rustls::ClientConfig>>,
    config: Config,
    connection: Mutex<Connection>,
    cancelled: AtomicBool,
    cancel: Notify,
}

#[derive(Debug)]
struct Connection {
    /// Becomes none only when this is dropped.
    runtime: Option<Runtime>,
    sender: Option<Sender>,
}

/// The failure of a request, and whether the peer may have begun to answer.
struct Broken {
    answer: Answer,
    untouched: bool,
}

impl Poster {
    /// Check the settings. The first request connects.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let target = Target::parse(&config.url)?;
        let headers = headers(&config.headers)?;
        let tls = if target.tls.is_some() {
            Some(tls(config.ca_file.as_deref())?)
        } else {
            None
        };
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| ConfigError::new("url", format!("cannot be used: no event loop: {e}")))?;
        Ok(Self {
            target,
            headers,
            tls,
            config,
            connection: Mutex::new(Connection {
                runtime: Some(runtime),
                sender: None,
            }),
            cancelled: AtomicBool::new(false),
            cancel: Notify::new(),
        })
    }

    /// POST a body. Blocks until the answer, the time-out or `cancel`.
    pub fn post(&self, body: &[u8]) -> Answer {
        if self.config.gzip {
            return self.post_gzipped(&Gzipped::of(body));
        }
        let body = Bytes::copy_from_slice(body);
        self.run(&Method::POST, &self.target, &body, false)
    }

    /// POST a body that was compressed before, perhaps while another was under way.
    pub fn post_gzipped(&self, body: &Gzipped) -> Answer {
        self.run(&Method::POST, &self.target, &body.0, true)
    }

    /// GET another URL of the same server with the same headers, for health checks. An unusable URL is also returned as a failure.
    pub fn get(&self, url: &str) -> Answer {
        match Target::parse(url) {
            Ok(target) => self.run(&Method::GET, &target, &Bytes::new(), false),
            Err(error) => Answer::failed(Failure::Dns, error.to_string()),
        }
    }

    /// End the request under way, and every later one, with `Cancelled`.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.cancel.notify_waiters();
    }

    fn run(&self, method: &Method, target: &Target, body: &Bytes, compressed: bool) -> Answer {
        let mut connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Connection { runtime, sender } = &mut *connection;
        let Some(runtime) = runtime else {
            return Answer::failed(Failure::Cancelled, "closed");
        };
        runtime.block_on(async {
            let cancelled = self.cancel.notified();
            tokio::pin!(cancelled);
            cancelled.as_mut().enable();
            if self.cancelled.load(Ordering::Acquire) {
                return Answer::failed(Failure::Cancelled, "cancelled");
            }
            let exchange = tokio::time::timeout(self.config.timeout, self.exchange(sender, method, target, body, compressed));
            let answer = tokio::select! {
                () = cancelled => Answer::failed(Failure::Cancelled, "cancelled"),
                outcome = exchange => outcome.unwrap_or_else(|_| {
                    Answer::failed(Failure::Timeout, format!("no answer within {} s", self.config.timeout.as_secs_f64()))
                }),
            };
            if answer.failure.is_some() {
                *sender = None; // whatever is left of it belongs to a request that is over
            }
            answer
        })
    }

    async fn exchange(
        &self,
        kept: &mut Option<Sender>,
        method: &Method,
        target: &Target,
        body: &Bytes,
        compressed: bool,
    ) -> Answer {
        // GETs normally go to the same server. If the URL names another server, a separate connection serves this one request.
        let same = target.host == self.target.host && target.port == self.target.port;
        if let Some(mut sender) = kept.take().filter(|s| same && !s.is_closed()) {
            match self
                .request(&mut sender, method, target, body, compressed)
                .await
            {
                Ok(answer) => {
                    *kept = Some(sender);
                    return answer;
                }
                Err(Broken {
                    answer,
                    untouched: false,
                }) => return answer,
                // The peer has closed the kept connection meanwhile, so try once more on a new one. Writing lines twice is harmless.
                Err(Broken {
                    untouched: true, ..
                }) => {}
            }
        }
        let mut sender = match connect(target, self.tls.as_ref()).await {
            Ok(sender) => sender,
            Err(answer) => return answer,
        };
        match self
            .request(&mut sender, method, target, body, compressed)
            .await
        {
            Ok(answer) => {
                if same {
                    *kept = Some(sender);
                }
                answer
            }
            Err(broken) => broken.answer,
        }
    }

    async fn request(
        &self,
        sender: &mut Sender,
        method: &Method,
        target: &Target,
        body: &Bytes,
        compressed: bool,
    ) -> Result<Answer, Broken> {
        let broken = |e: &hyper::Error, untouched: bool| Broken {
            answer: Answer::failed(Failure::Reset, describe(e)),
            untouched,
        };
        sender.ready().await.map_err(|e| broken(&e, true))?;
        let mut request = Request::builder()
            .method(method)
            .uri(&target.path)
            .header(HOST, &target.authority)
            .header(
                USER_AGENT,
                concat!("iiot-gateway/", env!("CARGO_PKG_VERSION")),
            );
        let says_type = self.headers.iter().any(|(name, _)| name == CONTENT_TYPE);
        if method == Method::POST && !says_type {
            request = request.header(CONTENT_TYPE, "text/plain; charset=utf-8");
        }
        if compressed {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        for (name, value) in &self.headers {
            if name != AUTHORIZATION || target.host == self.target.host {
                request = request.header(name, value);
            }
        }
        let request = request.body(Full::new(body.clone())).map_err(|e| Broken {
            answer: Answer::failed(Failure::Dns, e.to_string()),
            untouched: false,
        })?;
        let response = sender.send_request(request).await.map_err(|e| {
            broken(
                &e,
                e.is_incomplete_message() || e.is_canceled() || e.is_closed(),
            )
        })?;
        let (head, mut incoming) = response.into_parts();
        let mut answer = Answer {
            status: head.status.as_u16(),
            ..Answer::default()
        };
        answer.content_type = text_of(&head.headers, &CONTENT_TYPE);
        answer.location = text_of(&head.headers, &LOCATION);
        answer.retry_after = head
            .headers
            .get(RETRY_AFTER)
            .and_then(|v| v.to_str().ok())
            .and_then(|v| retry_after(v, SystemTime::now()));
        while let Some(frame) = incoming.frame().await {
            // The status is known, which is enough. An incomplete body only shortens the explanation.
            let Ok(frame) = frame else { break };
            if let Some(data) = frame.data_ref() {
                let room = self.config.max_body_bytes - answer.body.len();
                answer
                    .body
                    .extend_from_slice(data.get(..room.min(data.len())).unwrap_or_default());
                if answer.body.len() == self.config.max_body_bytes {
                    break;
                }
            }
        }
        Ok(answer)
    }
}

impl Drop for Poster {
    fn drop(&mut self) {
        // An ordinary drop would wait for a name lookup under way.
        if let Some(runtime) = self
            .connection
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .runtime
            .take()
        {
            runtime.shutdown_background();
        }
    }
}

/// A header's text; empty without one. The peer may send anything, so the text is cut, and invalid UTF-8 is replaced.
fn text_of(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get(name).map_or_else(String::new, |value| {
        let text = String::from_utf8_lossy(value.as_bytes());
        text.chars().take(MAX_HEADER_CHARS).collect()
    })
}

/// hyper's errors name the stage; the cause names the reason.
fn describe(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
