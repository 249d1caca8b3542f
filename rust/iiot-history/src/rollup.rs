//! Roll-ups: the aggregates of every minute and hour with points. They always agree with the stored points.
//!
//! A row holds twenty buckets, so that it fits into one page: `crc32 u32 LE | (index u8 | aggregate)*`.

use crate::aggregate::Aggregate;
use crate::block::Sample;
use crate::blocks;
use crate::error::{Error, Result};
use rusqlite::{Connection, OptionalExtension, params};

/// A width of buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tier {
    number: i64,
    pub width_ns: i64,
}

/// From the finest to the coarsest.
pub(crate) const TIERS: [Tier; 2] = [
    Tier {
        number: 1,
        width_ns: 60_000_000_000,
    },
    Tier {
        number: 2,
        width_ns: 3_600_000_000_000,
    },
];

const BUCKETS: usize = 20;
/// Times further apart than this are not read together when buckets are computed again.
const GAP_NS: i64 = 6 * 3_600_000_000_000;

type Bucket = (i64, Aggregate);

impl Tier {
    fn span_ns(self) -> i64 {
        self.width_ns * BUCKETS as i64
    }
}

/// The start of the bucket of this width that a time is in.
pub(crate) fn floor(time_ns: i64, width_ns: i64) -> i64 {
    time_ns.div_euclid(width_ns).saturating_mul(width_ns)
}

/// Add samples that are later than all samples of the series.
pub(crate) fn append(db: &Connection, series: i64, samples: &[Sample]) -> Result<()> {
    for tier in TIERS {
        let mut buckets: Vec<Bucket> = Vec::new();
        for sample in samples {
            add(&mut buckets, sample, tier);
        }
        change(db, series, tier, &buckets, |stored, new| {
            let mut sum = stored.unwrap_or_default();
            sum.append(new);
            sum
        })?;
    }
    Ok(())
}

/// Compute the buckets of these times again from the present points.
pub(crate) fn recompute(db: &Connection, series: i64, times: &[i64]) -> Result<()> {
    for tier in TIERS {
        let mut starts: Vec<i64> = times.iter().map(|t| floor(*t, tier.width_ns)).collect();
        starts.sort_unstable();
        starts.dedup();
        for near in starts.chunk_by(|one, next| next.saturating_sub(*one) <= GAP_NS) {
            let (Some(&first), Some(&last)) = (near.first(), near.last()) else {
                continue;
            };
            let mut found: Vec<Bucket> = Vec::new();
            blocks::scan(
                db,
                series,
                first,
                last.saturating_add(tier.width_ns),
                |samples| {
                    for sample in samples {
                        if near
                            .binary_search(&floor(sample.time_ns, tier.width_ns))
                            .is_ok()
                        {
                            add(&mut found, sample, tier);
                        }
                    }
                    true
                },
            )?;
            let buckets: Vec<Bucket> = near
                .iter()
                .map(|start| {
                    let at = found.binary_search_by_key(start, |bucket| bucket.0);
                    let bucket = at.ok().and_then(|at| found.get(at)).copied();
                    bucket.unwrap_or((*start, Aggregate::default()))
                })
                .collect();
            change(db, series, tier, &buckets, |_, new| *new)?;
        }
    }
    Ok(())
}

/// Show the buckets that begin in `start_ns..end_ns`, in order, until `visit` returns false.
pub(crate) fn scan(
    db: &Connection,
    series: i64,
    tier: Tier,
    start_ns: i64,
    end_ns: i64,
    mut visit: impl FnMut(i64, &Aggregate) -> bool,
) -> Result<()> {
    let mut query = db.prepare_cached(
        "SELECT start_ns, body FROM rollup WHERE series=?1 AND tier=?2 AND start_ns >= ?3 AND start_ns < ?4 ORDER BY start_ns",
    )?;
    let first = floor(start_ns, tier.span_ns());
    let mut rows = query.query(params![series, tier.number, first, end_ns])?;
    while let Some(row) = rows.next()? {
        let body = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        for (start, aggregate) in decode(row.get(0)?, tier, body)? {
            if start >= start_ns && start < end_ns && !visit(start, &aggregate) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Correct the buckets that touch a span (without its end) that no longer has points.
pub(crate) fn empty_between(
    db: &Connection,
    series: i64,
    start_ns: i64,
    end_ns: i64,
) -> Result<()> {
    for tier in TIERS {
        // Rows that are entirely in the span are removed without reading.
        let first = floor(start_ns, tier.span_ns()).saturating_add(tier.span_ns());
        let last = floor(end_ns, tier.span_ns());
        db.prepare_cached(
            "DELETE FROM rollup WHERE series=?1 AND tier=?2 AND start_ns >= ?3 AND start_ns < ?4",
        )?
        .execute([series, tier.number, first, last])?;
        let mut gone = Vec::new();
        scan(db, series, tier, start_ns, end_ns, |bucket, _| {
            if bucket.saturating_add(tier.width_ns) <= end_ns {
                gone.push((bucket, Aggregate::default()));
            }
            true
        })?;
        change(db, series, tier, &gone, |_, none| *none)?;
    }
    // The first and the last row may have points outside the span.
    recompute(db, series, &[start_ns, end_ns.saturating_sub(1)])
}

/// Remove the buckets before a time. The bucket that contains the time must be computed again.
pub(crate) fn forget_before(db: &Connection, series: i64, time_ns: i64) -> Result<()> {
    for tier in TIERS {
        let start = floor(time_ns, tier.span_ns());
        db.prepare_cached("DELETE FROM rollup WHERE series=?1 AND tier=?2 AND start_ns < ?3")?
            .execute([series, tier.number, start])?;
        let mut gone = Vec::new();
        scan(
            db,
            series,
            tier,
            start,
            floor(time_ns, tier.width_ns),
            |bucket, _| {
                gone.push((bucket, Aggregate::default()));
                true
            },
        )?;
        change(db, series, tier, &gone, |_, none| *none)?;
    }
    Ok(())
}

fn add(buckets: &mut Vec<Bucket>, sample: &Sample, tier: Tier) {
    match buckets.last_mut() {
        Some((start, sum)) if sample.time_ns.saturating_sub(*start) < tier.width_ns => {
            sum.add(&sample.value);
        }
        _ => {
            let mut sum = Aggregate::default();
            sum.add(&sample.value);
            buckets.push((floor(sample.time_ns, tier.width_ns), sum));
        }
    }
}

/// Change buckets in their rows. Buckets without points, and rows without buckets, are removed.
fn change(
    db: &Connection,
    series: i64,
    tier: Tier,
    buckets: &[Bucket],
    combine: impl Fn(Option<Aggregate>, &Aggregate) -> Aggregate,
) -> Result<()> {
    let row_of = |bucket: &Bucket| floor(bucket.0, tier.span_ns());
    for group in buckets.chunk_by(|one, next| row_of(one) == row_of(next)) {
        let Some(start) = group.first().map(row_of) else {
            continue;
        };
        let stored: Option<Vec<u8>> = db
            .prepare_cached("SELECT body FROM rollup WHERE series=?1 AND tier=?2 AND start_ns=?3")?
            .query_row([series, tier.number, start], |r| r.get(0))
            .optional()?;
        let mut kept = match stored {
            Some(body) => decode(start, tier, &body)?,
            None => Vec::new(),
        };
        for (bucket, new) in group {
            match kept.binary_search_by_key(bucket, |b| b.0) {
                Ok(at) => {
                    if let Some((_, stored)) = kept.get_mut(at) {
                        *stored = combine(Some(*stored), new);
                    }
                }
                Err(at) => kept.insert(at, (*bucket, combine(None, new))),
            }
        }
        kept.retain(|(_, sum)| sum.count > 0);
        if kept.is_empty() {
            db.prepare_cached("DELETE FROM rollup WHERE series=?1 AND tier=?2 AND start_ns=?3")?
                .execute([series, tier.number, start])?;
        } else {
            db.prepare_cached("INSERT INTO rollup VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET body=excluded.body")?
                .execute(params![series, tier.number, start, encode(start, tier, &kept)])?;
        }
    }
    Ok(())
}

fn encode(start_ns: i64, tier: Tier, buckets: &[Bucket]) -> Vec<u8> {
    let mut out = vec![0; 4];
    for (bucket, sum) in buckets {
        out.push(((bucket - start_ns) / tier.width_ns) as u8);
        sum.write(&mut out);
    }
    let crc = crc32fast::hash(out.get(4..).unwrap_or_default());
    if let Some(head) = out.first_chunk_mut() {
        *head = crc.to_le_bytes();
    }
    out
}

fn decode(start_ns: i64, tier: Tier, body: &[u8]) -> Result<Vec<Bucket>> {
    let damaged = || Error::damaged("a roll-up fails its checksum");
    let (crc, mut rest) = body.split_first_chunk().ok_or_else(damaged)?;
    if crc32fast::hash(rest) != u32::from_le_bytes(*crc) {
        return Err(damaged());
    }
    let mut buckets = Vec::with_capacity(BUCKETS);
    while let Some((index, behind)) = rest.split_first() {
        rest = behind;
        let bucket = start_ns.saturating_add(i64::from(*index).saturating_mul(tier.width_ns));
        buckets.push((bucket, Aggregate::read(&mut rest).ok_or_else(damaged)?));
    }
    Ok(buckets)
}
