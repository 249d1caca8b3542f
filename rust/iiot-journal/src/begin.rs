//! The start of a source: its row, and the origin of its frames.

use crate::error::Result;
use crate::origins::encode_tags;
use crate::source::{self, Rules};
use crate::source_settings::{RecordingSettings, SourceSettings};
use crate::state::State;
use crate::transaction::transaction;
use iiot_core::profile::Profile;
use rusqlite::params;

/// Find or create a source's row and its origin. Returns its number, where a recording goes on, and whether it was read to its end.
pub(crate) fn begin(
    state: &mut State,
    settings: &SourceSettings,
    recording: &RecordingSettings,
) -> Result<(usize, u64, bool)> {
    let (source, profile_name) = transaction(&state.db, || {
        let origin = origin(
            state,
            &settings.name,
            &settings.profile,
            &settings.topic_prefix,
            &encode_tags(&settings.tags),
        )?;
        let rules = Rules {
            origin,
            window_ms: i64::try_from(settings.dedup_window.as_millis()).unwrap_or(i64::MAX),
            step_ns: i64::from(settings.time_step_us) * 1000,
            uptime_bits: settings.profile.uptime_bits(),
            belief: settings.profile.belief(),
            has_times: settings.profile.has_times(),
            supply: settings.supply,
            is_shared: settings.is_shared,
            recording: !recording.fingerprint.is_empty(),
            start_ns: recording.start_ns,
        };
        let source = source::load(
            &state.db,
            &settings.name,
            &recording.fingerprint,
            &recording.arguments,
            recording.from_start,
            rules,
        )?;
        Ok((source, settings.profile.name().to_owned()))
    })?;
    state.origins.insert(source.rules.origin, profile_name);
    let (position, finished) = (source.clocks.position, source.clocks.finished);
    state.sources.push(source);
    Ok((state.sources.len() - 1, position, finished))
}

/// Find or create an origin, in a transaction of the caller.
pub(crate) fn origin(
    state: &State,
    source: &str,
    profile: &Profile,
    prefix: &str,
    tags: &str,
) -> Result<i64> {
    let hash = profile.hash() as i64;
    state.db.execute(
        "INSERT OR IGNORE INTO profile VALUES (?1, ?2, ?3)",
        params![hash, profile.name(), profile.text()],
    )?;
    state.db.execute(
        "INSERT OR IGNORE INTO origin(source, profile, topic_prefix, tags) VALUES (?1, ?2, ?3, ?4)",
        params![source, hash, prefix, tags],
    )?;
    let sql =
        "SELECT id FROM origin WHERE source=?1 AND profile=?2 AND topic_prefix=?3 AND tags=?4";
    Ok(state
        .db
        .query_row(sql, params![source, hash, prefix, tags], |r| r.get(0))?)
}
