//! Origins by their number; each reader that decodes compiles them once.

use crate::cursor::{OriginInfo, decode_tags};
use crate::error::{Error, ErrorKind, Result};
use iiot_core::origin::Origin;
use iiot_core::profile::Profile;
use rusqlite::{Connection, OptionalExtension};
use std::collections::HashMap;
use std::sync::Arc;

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
