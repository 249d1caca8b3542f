//! Origins by their number; each reader that decodes compiles them once.

use crate::error::{Error, ErrorKind, Result};
use crate::row::Frame;
use iiot_core::origin::Origin;
use iiot_core::profile::Profile;
use iiot_core::{Decoded, Scan, ScanFault};
use rusqlite::{Connection, OptionalExtension};
use std::collections::HashMap;
use std::sync::Arc;

/// Separates keys, values and pairs in the stored tags; no tag may contain this character.
const UNIT: char = '\u{1f}';
const PAIR: char = '\u{1e}';

/// The properties that all frames of a row share, ready for decoding.
#[derive(Debug)]
pub struct OriginInfo {
    /// Its number in this journal; no other origin ever has the same.
    pub id: i64,
    /// The source's name.
    pub source: String,
    /// The profile the frames were accepted under.
    pub profile: Profile,
    /// The profile with prefix and tags, as lines and topics need it.
    pub origin: Origin,
}

impl OriginInfo {
    /// Decode a frame of this origin. It was accepted under this same profile, so an error means that another program wrote it.
    pub fn decode<'a>(
        &'a self,
        frame: &Frame<'a>,
        scan: &'a mut Scan,
    ) -> std::result::Result<Decoded<'a>, ScanFault> {
        let device = frame.device.unwrap_or_default();
        self.profile
            .decode_of(frame.topic, device, frame.document, scan)?;
        for (point, later_ms) in frame.moves.iter() {
            scan.move_point(point, later_ms);
        }
        Ok(self.profile.decoded(frame.document, scan))
    }
}

#[derive(Default)]
pub(crate) struct Origins(HashMap<i64, Arc<OriginInfo>>);

impl Origins {
    /// What the frames of a row have in common.
    pub(crate) fn get(&mut self, db: &Connection, id: i64) -> Result<Arc<OriginInfo>> {
        if let Some(found) = self.0.get(&id) {
            return Ok(Arc::clone(found));
        }
        let sql = "SELECT o.source, o.topic_prefix, o.tags, p.text FROM origin o JOIN profile p ON p.hash=o.profile WHERE o.id=?1";
        let stored: Option<(String, String, String, String)> = db
            .query_row(sql, [id], |r| {
                Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?))
            })
            .optional()?;
        let damaged = |what: String| Error::new(ErrorKind::Damaged, what);
        let (source, prefix, tags, text) =
            stored.ok_or_else(|| damaged(format!("origin {id} is missing")))?;
        let profile = Profile::stored(&text).map_err(|e| {
            damaged(format!(
                "the stored profile of source {source} cannot be read: {e}"
            ))
        })?;
        let origin = Origin::new(&profile, &prefix, &decode_tags(&tags)).map_err(|e| {
            damaged(format!(
                "the stored prefix and tags of source {source} cannot be used: {e}"
            ))
        })?;
        let info = Arc::new(OriginInfo {
            id,
            source,
            profile,
            origin,
        });
        self.0.insert(id, Arc::clone(&info));
        Ok(info)
    }
}

/// The tags of an origin as they are stored.
pub(crate) fn encode_tags(tags: &[(String, String)]) -> String {
    let mut out = String::new();
    for (key, value) in tags {
        for part in [
            key.as_str(),
            &UNIT.to_string(),
            value.as_str(),
            &PAIR.to_string(),
        ] {
            out.push_str(part);
        }
    }
    out
}

fn decode_tags(text: &str) -> Vec<(String, String)> {
    text.split(PAIR)
        .filter_map(|pair| pair.split_once(UNIT))
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect()
}
