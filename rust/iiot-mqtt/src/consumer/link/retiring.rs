//! Retires a session: unsubscribes its filters, takes the messages that the broker still holds for it, and ends it.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::{AsyncWriteExt, WriteHalf};

use super::subscribing::FILTERS_AT_ONCE;
use super::{Link, broken, late};
use crate::consumer::control;
use crate::consumer::splitter::Splitter;
use crate::ended::EndKind;
use crate::failure::Failure;
use crate::transport::Stream;

/// A session that is being retired is empty if nothing has come for this long, although everything is acknowledged and the broker is known to
/// have the acknowledgements.
const QUIET: Duration = Duration::from_secs(1);

impl Link<'_> {
    /// Retire the session, if that is wanted: unsubscribe the filters, and take the messages that the broker still holds for it. True once it is
    /// empty.
    pub(super) fn is_drained(&mut self, now: Instant, splitter: &Splitter) -> bool {
        if !self.desk.is_retiring() || !self.subscribing.is_empty() {
            return false;
        }
        if !self.retiring {
            self.retiring = true;
            self.last_message = now;
            let filters: Vec<String> = self
                .consumer
                .subscriptions
                .iter()
                .map(|s| s.filter.clone())
                .collect();
            for part in filters.chunks(FILTERS_AT_ONCE) {
                let id = self.acks.next_id();
                control::unsubscribe(id, part, self.v5, &mut self.out);
                self.unsubscribing.insert(id, part.to_vec());
            }
        }
        // While nothing is read, or only half a message has been read, it is unknown whether more comes.
        self.unsubscribing.is_empty()
            && self.acks.is_idle()
            && self.out.is_empty()
            && self.paused_at.is_none()
            && splitter.is_between_packets()
            && now.saturating_duration_since(self.last_message) >= QUIET
    }

    /// End the empty session. Returns how the connection ended.
    pub(super) async fn end_session(
        &mut self,
        writer: &mut WriteHalf<Stream>,
    ) -> Result<Failure, Failure> {
        self.inlet.set_subscribed(&[])?;
        control::end_session(self.v5, &mut self.out);
        writer
            .write_all(&self.out)
            .await
            .map_err(|error| broken(&error))?;
        writer.shutdown().await.ok();
        Ok(retired())
    }

    /// With MQTT 3.1.1, end a session by beginning another one in its place that the broker does not keep.
    pub(super) async fn clear_session(&mut self) -> Result<(), Failure> {
        let within = self.checked.config.connect_timeout;
        let stream = self.checked.transport.connect(within);
        let stream = stream.await.map_err(|error| broken(&error))?;
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut splitter = Splitter::new(self.v5, self.consumer.max_payload_bytes);
        self.retiring = true;
        let connecting = self.connect(&mut reader, &mut writer, &mut splitter);
        let connected = tokio::time::timeout(within, connecting).await;
        connected.map_err(|_| late())??;
        let mut out = BytesMut::new();
        control::disconnect(&mut out);
        writer
            .write_all(&out)
            .await
            .map_err(|error| broken(&error))?;
        writer.shutdown().await.ok();
        Err(retired())
    }
}

pub(super) fn retired() -> Failure {
    let why = "the filters were taken back, everything was taken, and the session was ended";
    Failure::new(EndKind::Retired, why)
}
