//! The settings of a source, and of a recording.

use crate::row::Supply;
use iiot_core::profile::Profile;
use std::sync::Arc;
use std::time::Duration;

/// The settings of a source.
#[derive(Debug, Clone)]
pub struct SourceSettings {
    /// Its name; the journal keeps its clock and window under it.
    pub name: String,
    /// The profile of its documents.
    pub profile: Arc<Profile>,
    /// In front of every topic.
    pub topic_prefix: String,
    /// On every point.
    pub tags: Vec<(String, String)>,
    /// For how long a repeat counts as a duplicate.
    pub dedup_window: Duration,
    /// Stamps advance by at least this.
    pub time_step_us: u32,
    /// How the source behaves when there is no room.
    pub supply: Supply,
    /// A longer document is damaged.
    pub max_document_bytes: usize,
    /// The RTT channel to take if probe-rs prints several; without a name, the whole stream is used.
    pub rtt_channel: Option<String>,
    /// Other gateways get a part of its messages, and of the messages of each device: so no clock is followed here, and no time is moved.
    pub is_shared: bool,
}

/// The settings of a recording, which is a source that is read once.
#[derive(Debug, Clone, Default)]
pub struct RecordingSettings {
    /// Fingerprint of the content.
    pub fingerprint: String,
    /// Further settings that must be the same when it goes on.
    pub arguments: String,
    /// Begin again, even if a part was read before.
    pub from_start: bool,
    /// The time of the first document; later ones follow the node's clock.
    pub start_ns: Option<i64>,
}
