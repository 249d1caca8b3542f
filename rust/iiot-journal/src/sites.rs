//! Sites: gateways whose published values come in through a broker. Counts the values of each, and those that came twice.
//!
//! A value is named by the journal that holds its frame (the site's origin), the run of that journal, the frame's position and its place there. The values that
//! have come are kept in chunks of [`CHUNK_FRAMES`] frames, so that the chunks of several workers of one share can be combined: values that two of them have
//! came twice, and values that none has are missing. No value is ever left out because of this. The counts never forget. The newest chunks of all sites are
//! kept, within a part of the journal's room; values in removed chunks are counted.

use crate::error::Result;
use iiot_core::varint;
use rusqlite::{Connection, params};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Frames in a chunk.
pub const CHUNK_FRAMES: u64 = 64;
/// Chunks may take the journal's room divided by this.
const PART: u64 = 16;
/// The approximate bytes of a chunk beside its entries.
const CHUNK_BYTES: u64 = 100;
/// How many chunks are removed at once when the room is used up.
const GO_AT_ONCE: u32 = 64;
/// Chunks in memory; those that are missing are read from the file.
const MOST_CACHED: usize = 1_024;
/// The most sites that are counted separately; values of further ones are counted together.
const MOST_SITES: usize = 4_096;
/// The name under which these are counted.
const OTHERS: &str = "others";

/// The mark that identifies a value which another gateway published.
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

/// The counts of one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteCounts {
    /// The id of its journal.
    pub origin: String,
    /// Values that came, each time they came.
    pub received: u64,
    /// Of these, the ones that had come before.
    pub doubles: u64,
    /// Values of which only the number is known, because their chunks were removed: it is not noticed if they come again, or came to another worker.
    pub forgotten: u64,
}

/// The values of a chunk that have come: frame within the chunk, point and field.
pub type Entries = BTreeSet<(u8, u32, u32)>;

/// A chunk of one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteChunk {
    /// The run.
    pub run: String,
    /// The position of its first frame, divided by [`CHUNK_FRAMES`].
    pub number: u64,
    /// The values that have come, in the stored form: for each the frame's distance from the one before, point and field, each a varint.
    pub entries: Vec<u8>,
}

type Key = (String, String, u64);

/// The committed state in memory.
#[derive(Debug, Default)]
pub(crate) struct Sites {
    /// Number of each site's row.
    known: HashMap<String, i64>,
    cached: HashMap<Key, Entries>,
    /// Bytes of all chunks.
    bytes: u64,
}

/// What a group wrote.
#[derive(Debug, Default)]
pub(crate) struct Written {
    rows: Vec<(String, i64)>,
    bytes: u64,
    /// Chunks that had to go: number of the site's row, run, number.
    gone: Vec<(i64, String, u64)>,
}

/// What a group adds.
#[derive(Debug, Default)]
pub(crate) struct NewSites {
    counts: BTreeMap<String, (u64, u64)>,
    chunks: BTreeMap<Key, Entries>,
    /// The bytes of those that are stored already.
    stored: HashMap<Key, u64>,
}

impl Sites {
    /// Read which sites there are.
    pub(crate) fn load(db: &Connection) -> Result<Self> {
        let mut query = db.prepare("SELECT origin, id FROM site")?;
        let known = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let sql = "SELECT count(*), coalesce(sum(length(entries)), 0) FROM site_chunk";
        let (chunks, bytes): (i64, i64) =
            db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Self {
            known: known.collect::<rusqlite::Result<_>>()?,
            cached: HashMap::new(),
            bytes: chunks as u64 * CHUNK_BYTES + bytes as u64,
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
                Some(entries) => Some(entries.clone()),
                None => self.stored(db, &key)?,
            };
            if let Some(entries) = &entries {
                new.stored.insert(key.clone(), bytes_of(entries));
            }
            let entries = entries.unwrap_or_default();
            new.chunks.insert(key.clone(), entries);
        }
        let frame = (mark.position % CHUNK_FRAMES) as u8;
        let entry = (frame, mark.place.0, mark.place.1);
        let entries = new.chunks.get_mut(&key);
        Ok(entries.is_some_and(|entries| !entries.insert(entry)))
    }

    fn stored(&self, db: &Connection, (origin, run, number): &Key) -> Result<Option<Entries>> {
        let Some(site) = self.known.get(origin) else {
            return Ok(None);
        };
        let mut query = db.prepare_cached(
            "SELECT entries FROM site_chunk WHERE site=?1 AND run=?2 AND number=?3",
        )?;
        let mut rows = query.query(params![site, run, *number as i64])?;
        match rows.next()? {
            Some(row) => Ok(Some(decode(&row.get::<_, Vec<u8>>(0)?))),
            None => Ok(None),
        }
    }

    /// Take over what was committed.
    pub(crate) fn merge(&mut self, written: Written, new: NewSites) {
        self.known.extend(written.rows);
        if !new.chunks.is_empty() {
            self.bytes = written.bytes;
        }
        if self.cached.len() + new.chunks.len() > MOST_CACHED {
            self.cached.clear();
        }
        self.cached.extend(new.chunks);
        if !written.gone.is_empty() {
            let known = &self.known;
            self.cached.retain(|(origin, run, number), _| {
                let is_it = |(site, gone, at): &(i64, String, u64)| {
                    at == number && gone == run && known.get(origin) == Some(site)
                };
                !written.gone.iter().any(is_it)
            });
        }
    }
}

impl NewSites {
    /// Write it, in a transaction of the caller. `room` is that of the journal.
    pub(crate) fn write(&self, db: &Connection, known: &Sites, room: u64) -> Result<Written> {
        let mut rows = Vec::with_capacity(self.counts.len());
        let mut count = db.prepare_cached(
            "INSERT INTO site(origin, received, doubles, forgotten) VALUES (?1, ?2, ?3, 0)
             ON CONFLICT(origin) DO UPDATE SET received=received+excluded.received, doubles=doubles+excluded.doubles RETURNING id",
        )?;
        for (origin, (received, doubles)) in &self.counts {
            let row = params![origin, *received as i64, *doubles as i64];
            rows.push((origin.clone(), count.query_row(row, |row| row.get(0))?));
        }
        let mut bytes = known.bytes;
        let mut put = db.prepare_cached(
            "INSERT INTO site_chunk(site, run, number, entries) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT(site, run, number) DO UPDATE SET entries=excluded.entries",
        )?;
        for (key, entries) in &self.chunks {
            let (origin, run, number) = key;
            // Each site with a chunk has a count as well.
            let Some((_, site)) = rows.iter().find(|(known, _)| known == origin) else {
                continue;
            };
            let before = self.stored.get(key).copied().unwrap_or_default();
            bytes = (bytes + bytes_of(entries)).saturating_sub(before);
            let entries = encode(entries);
            put.execute(params![site, run, *number as i64, entries])?;
        }
        let mut gone = Vec::new();
        while bytes > room / PART {
            match forget_oldest(db, &mut gone)? {
                0 => break,
                freed => bytes = bytes.saturating_sub(freed),
            }
        }
        Ok(Written { rows, bytes, gone })
    }
}

/// Remove the oldest chunks, and count their values. Returns their bytes; 0 if there are none.
fn forget_oldest(db: &Connection, gone: &mut Vec<(i64, String, u64)>) -> Result<u64> {
    let mut oldest = db.prepare_cached(
        "SELECT id, site, run, number, entries FROM site_chunk ORDER BY id LIMIT ?1",
    )?;
    let mut rows = oldest.query([GO_AT_ONCE])?;
    let (mut ids, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let (site, entries): (i64, Vec<u8>) = (row.get(1)?, row.get(4)?);
        db.prepare_cached("UPDATE site SET forgotten=forgotten+?2 WHERE id=?1")?
            .execute(params![site, decode(&entries).len() as i64])?;
        ids.push(row.get::<_, i64>(0)?);
        gone.push((site, row.get(2)?, row.get::<_, i64>(3)? as u64));
        bytes += CHUNK_BYTES + entries.len() as u64;
    }
    for id in ids {
        db.prepare_cached("DELETE FROM site_chunk WHERE id=?1")?
            .execute([id])?;
    }
    Ok(bytes)
}

/// The counts of each site, by the id of its journal.
pub(crate) fn counts(db: &Connection) -> Result<Vec<SiteCounts>> {
    let mut query =
        db.prepare_cached("SELECT origin, received, doubles, forgotten FROM site ORDER BY origin")?;
    let rows = query.query_map([], |row| {
        Ok(SiteCounts {
            origin: row.get(0)?,
            received: row.get::<_, i64>(1)? as u64,
            doubles: row.get::<_, i64>(2)? as u64,
            forgotten: row.get::<_, i64>(3)? as u64,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Chunks of a site that are kept, behind this run and number, in the order of both.
pub(crate) fn chunks(
    db: &Connection,
    origin: &str,
    behind: Option<(&str, u64)>,
    most: u32,
) -> Result<Vec<SiteChunk>> {
    let (run, number) = behind.map_or(("", -1), |(run, number)| (run, number as i64));
    let mut query = db.prepare_cached(
        "SELECT run, number, entries FROM site_chunk WHERE site=(SELECT id FROM site WHERE origin=?1) AND (run, number) > (?2, ?3)
         ORDER BY run, number LIMIT ?4",
    )?;
    let rows = query.query_map(params![origin, run, number, most], |row| {
        Ok(SiteChunk {
            run: row.get(0)?,
            number: row.get::<_, i64>(1)? as u64,
            entries: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// What a chunk takes in the file.
fn bytes_of(entries: &Entries) -> u64 {
    CHUNK_BYTES + encode(entries).len() as u64
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

/// The reverse of `encode`; it ends at the first bytes that are not an entry.
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
