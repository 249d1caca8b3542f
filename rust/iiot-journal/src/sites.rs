//! Sites: gateways whose published values come in through a broker. Counts what came of each, and which values came twice.
//!
//! A value is named by the journal that holds its frame (the site's origin), the run of that journal, the frame's position and its place there. Which values came is kept
//! in chunks of [`CHUNK_FRAMES`] frames, so that the chunks of several workers of one share can be put together: what two of them have came twice, and what none has is
//! missing. Nothing is ever left out because of it. The counts never forget; of the chunks the newest [`MOST_CHUNKS`] per site are kept.

use crate::error::Result;
use iiot_core::varint;
use rusqlite::{Connection, params};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Frames in a chunk.
pub const CHUNK_FRAMES: u64 = 64;
/// Chunks that are kept of each site.
const MOST_CHUNKS: usize = 16_384;
/// Chunks in memory; those that are missing are read from the file.
const MOST_CACHED: usize = 1_024;
/// Sites that are told apart; values of further ones are counted together.
const MOST_SITES: usize = 4_096;
/// The site of those.
const OTHERS: &str = "others";

/// By what a value that another gateway published is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SiteMark<'a> {
    /// The id of the journal that holds its frame.
    pub origin: &'a str,
    /// The run of that journal.
    pub run: &'a str,
    /// The position of the frame.
    pub position: u64,
    /// Point and field.
    pub place: (u32, u32),
    /// The time of the value, nanoseconds since 1970.
    pub time_ns: i64,
}

/// What came of one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteCounts {
    /// The id of its journal.
    pub origin: String,
    /// Values that came, each time they came.
    pub received: u64,
    /// Of these, the ones that had come before.
    pub doubles: u64,
}

/// Which values of a chunk came: frame within the chunk, point and field.
pub type Entries = BTreeSet<(u8, u32, u32)>;

/// A chunk of one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteChunk {
    /// The id of its journal.
    pub origin: String,
    /// The run.
    pub run: String,
    /// The position of its first frame, divided by [`CHUNK_FRAMES`].
    pub number: u64,
    /// Which values came.
    pub entries: Entries,
}

type Key = (String, String, u64);

/// What is committed and at hand.
#[derive(Debug, Default)]
pub(crate) struct Sites {
    /// Number of each site's row.
    known: HashMap<String, i64>,
    cached: HashMap<Key, Entries>,
}

/// What a group adds.
#[derive(Debug, Default)]
pub(crate) struct NewSites {
    counts: BTreeMap<String, (u64, u64)>,
    chunks: BTreeMap<Key, Entries>,
}

impl Sites {
    /// Read which sites there are.
    pub(crate) fn load(db: &Connection) -> Result<Self> {
        let mut query = db.prepare("SELECT origin, id FROM site")?;
        let known = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Self {
            known: known.collect::<rusqlite::Result<_>>()?,
            cached: HashMap::new(),
        })
    }

    /// Note that a value came. True if it had come before.
    pub(crate) fn note(
        &self,
        db: &Connection,
        new: &mut NewSites,
        mark: &SiteMark<'_>,
    ) -> Result<bool> {
        let is_new = !self.known.contains_key(mark.origin) && !new.counts.contains_key(mark.origin);
        let origin = if is_new && self.known.len() + new.counts.len() >= MOST_SITES {
            OTHERS
        } else {
            mark.origin
        };
        let is_double = origin != OTHERS && self.is_double(db, new, mark)?;
        let counts = new.counts.entry(origin.to_owned()).or_default();
        counts.0 += 1;
        counts.1 += u64::from(is_double);
        Ok(is_double)
    }

    fn is_double(&self, db: &Connection, new: &mut NewSites, mark: &SiteMark<'_>) -> Result<bool> {
        let key = (
            mark.origin.to_owned(),
            mark.run.to_owned(),
            mark.position / CHUNK_FRAMES,
        );
        if !new.chunks.contains_key(&key) {
            let entries = match self.cached.get(&key) {
                Some(entries) => entries.clone(),
                None => self.stored(db, &key)?,
            };
            new.chunks.insert(key.clone(), entries);
        }
        let frame = (mark.position % CHUNK_FRAMES) as u8;
        let entry = (frame, mark.place.0, mark.place.1);
        let entries = new.chunks.get_mut(&key);
        Ok(entries.is_some_and(|entries| !entries.insert(entry)))
    }

    fn stored(&self, db: &Connection, (origin, run, number): &Key) -> Result<Entries> {
        let Some(site) = self.known.get(origin) else {
            return Ok(Entries::new());
        };
        let mut query = db.prepare_cached(
            "SELECT entries FROM site_chunk WHERE site=?1 AND run=?2 AND number=?3",
        )?;
        let mut rows = query.query(params![site, run, *number as i64])?;
        match rows.next()? {
            Some(row) => Ok(decode(&row.get::<_, Vec<u8>>(0)?)),
            None => Ok(Entries::new()),
        }
    }

    /// Take over what was committed.
    pub(crate) fn merge(&mut self, written: Vec<(String, i64)>, new: NewSites) {
        self.known.extend(written);
        if self.cached.len() + new.chunks.len() > MOST_CACHED {
            self.cached.clear();
        }
        self.cached.extend(new.chunks);
    }
}

impl NewSites {
    /// Write it, in a transaction of the caller. Returns the rows of its sites.
    pub(crate) fn write(&self, db: &Connection, known: &Sites) -> Result<Vec<(String, i64)>> {
        let mut ids = Vec::with_capacity(self.counts.len());
        let mut count = db.prepare_cached(
            "INSERT INTO site(origin, received, doubles) VALUES (?1, ?2, ?3)
             ON CONFLICT(origin) DO UPDATE SET received=received+excluded.received, doubles=doubles+excluded.doubles RETURNING id",
        )?;
        for (origin, (received, doubles)) in &self.counts {
            let row = params![origin, *received as i64, *doubles as i64];
            ids.push((origin.clone(), count.query_row(row, |row| row.get(0))?));
        }
        let mut put = db.prepare_cached(
            "INSERT INTO site_chunk(site, run, number, entries) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET entries=excluded.entries",
        )?;
        let mut changed = BTreeSet::new();
        for ((origin, run, number), entries) in &self.chunks {
            let written = ids.iter().find(|(known, _)| known == origin);
            let Some(site) = written
                .map(|(_, id)| *id)
                .or_else(|| known.known.get(origin).copied())
            else {
                continue;
            };
            let is_cached = known
                .cached
                .contains_key(&(origin.clone(), run.clone(), *number));
            put.execute(params![site, run, *number as i64, encode(entries)])?;
            if !is_cached {
                changed.insert(site);
            }
        }
        for site in changed {
            prune(db, site)?;
        }
        Ok(ids)
    }
}

/// Forget the oldest chunks of a site beyond the limit.
fn prune(db: &Connection, site: i64) -> Result<()> {
    db.prepare_cached(
        "DELETE FROM site_chunk WHERE site=?1 AND number <
           (SELECT number FROM site_chunk WHERE site=?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
    )?
    .execute(params![site, MOST_CHUNKS as i64])?;
    Ok(())
}

/// What came of each site, by the id of its journal.
pub(crate) fn counts(db: &Connection) -> Result<Vec<SiteCounts>> {
    let mut query =
        db.prepare_cached("SELECT origin, received, doubles FROM site ORDER BY origin")?;
    let rows = query.query_map([], |row| {
        Ok(SiteCounts {
            origin: row.get(0)?,
            received: row.get::<_, i64>(1)? as u64,
            doubles: row.get::<_, i64>(2)? as u64,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The chunks of a site that are kept, in the order of their numbers.
pub(crate) fn chunks(db: &Connection, origin: &str) -> Result<Vec<SiteChunk>> {
    let mut query = db.prepare_cached(
        "SELECT run, number, entries FROM site_chunk JOIN site ON site.id=site WHERE origin=?1 ORDER BY number, run",
    )?;
    let rows = query.query_map([origin], |row| {
        Ok(SiteChunk {
            origin: origin.to_owned(),
            run: row.get(0)?,
            number: row.get::<_, i64>(1)? as u64,
            entries: decode(&row.get::<_, Vec<u8>>(2)?),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// As it is stored: for each entry the frame's distance from the one before, point and field, each a varint.
fn encode(entries: &Entries) -> Vec<u8> {
    let mut out = Vec::with_capacity(3 * entries.len());
    let mut before = 0;
    for &(frame, point, field) in entries {
        varint::push(&mut out, u64::from(frame - before));
        varint::push(&mut out, u64::from(point));
        varint::push(&mut out, u64::from(field));
        before = frame;
    }
    out
}

/// The reverse; it ends where something else stands.
fn decode(mut bytes: &[u8]) -> Entries {
    let mut entries = Entries::new();
    let mut before = 0_u8;
    let mut number = || varint::take(&mut bytes).and_then(|n| u32::try_from(n).ok());
    while let (Some(step), Some(point), Some(field)) = (number(), number(), number()) {
        let Some(frame) = u8::try_from(step)
            .ok()
            .and_then(|step| before.checked_add(step))
        else {
            break;
        };
        entries.insert((frame, point, field));
        before = frame;
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn entries_come_back_as_they_were(entries in proptest::collection::btree_set((0..64_u8, any::<u32>(), any::<u32>()), 0..200)) {
            prop_assert_eq!(decode(&encode(&entries)), entries);
        }

        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode(&bytes).len() <= 200);
        }
    }
}
