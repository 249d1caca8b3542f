//! Reads a range of one series: its points, or buckets of them, from the coarsest roll-ups that fit, and from points otherwise.

use crate::aggregate::{Aggregate, Function};
use crate::error::{Error, ErrorKind, Result};
use crate::rollup::{TIERS, floor};
use crate::{blocks, rollup};
use rusqlite::Connection;
use std::time::Duration;

/// A query.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// The beginning of the range.
    pub start_ns: i64,
    /// The end of the range, which is not part of it.
    pub end_ns: i64,
    /// The width of buckets, which begin at whole multiples of the width since 1970; 0 asks for points.
    pub every_ns: i64,
    /// The function for a bucket.
    pub function: Function,
    /// The most points or buckets.
    pub limit: usize,
    /// The longest time for the answer; none for no limit.
    pub timeout: Option<Duration>,
}

type Columns = (Vec<i64>, Vec<Option<f64>>);

pub(crate) fn range(db: &Connection, series: i64, range: &Range) -> Result<Columns> {
    check(range)?;
    let mut columns = Columns::default();
    let mut whole = true;
    if range.every_ns == 0 {
        blocks::scan(db, series, range.start_ns, range.end_ns, |samples| {
            whole = columns.0.len() + samples.len() <= range.limit;
            if whole {
                columns.0.extend(samples.iter().map(|s| s.time_ns));
                columns.1.extend(samples.iter().map(|s| s.value.number()));
            }
            whole
        })?;
    } else {
        let finest = TIERS
            .iter()
            .rposition(|tier| range.every_ns % tier.width_ns == 0);
        let mut current: Option<(i64, Aggregate)> = None;
        let level = finest.map_or(0, |at| at + 1);
        let mut buckets = Buckets {
            db,
            series,
            visit: &mut |time_ns: i64, sum: &Aggregate| {
                let start = floor(time_ns, range.every_ns);
                match &mut current {
                    Some((bucket, total)) if *bucket == start => total.append(sum),
                    _ => {
                        push(&mut columns, current.replace((start, *sum)), range.function);
                        whole = columns.0.len() < range.limit;
                    }
                }
                whole
            },
        };
        buckets.walk(level, range.start_ns, range.end_ns)?;
        push(&mut columns, current, range.function);
    }
    if whole {
        return Ok(columns);
    }
    let remedy = if range.every_ns == 0 {
        "ask for buckets (every), for a shorter range, or raise the limit"
    } else {
        "ask for wider buckets (every), for a shorter range, or raise the limit"
    };
    Err(invalid(format!(
        "the range holds more than {} values: {remedy}",
        range.limit
    )))
}

fn check(range: &Range) -> Result<()> {
    if range.start_ns > range.end_ns {
        return Err(invalid(format!(
            "the range ends at {} ns, before it begins at {} ns: swap them",
            range.end_ns, range.start_ns
        )));
    }
    if range.every_ns < 0 {
        return Err(invalid(format!(
            "every is {} ns: expected 0 for points, or the width of buckets",
            range.every_ns
        )));
    }
    if range.limit == 0 {
        return Err(invalid("limit is 0: expected at least 1".to_owned()));
    }
    Ok(())
}

pub(crate) fn invalid(message: String) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

fn push(columns: &mut Columns, bucket: Option<(i64, Aggregate)>, function: Function) {
    if let Some((start, sum)) = bucket {
        columns.0.push(start);
        columns.1.push(sum.get(function));
    }
}

struct Buckets<'a> {
    db: &'a Connection,
    series: i64,
    visit: &'a mut dyn FnMut(i64, &Aggregate) -> bool,
}

impl Buckets<'_> {
    /// Show the content of a range in order; level 0 is the points, and the tiers are above. False if `visit` has returned false.
    fn walk(&mut self, level: usize, start_ns: i64, end_ns: i64) -> Result<bool> {
        let mut on = true;
        let Some(tier) = level.checked_sub(1).and_then(|at| TIERS.get(at)) else {
            blocks::scan(self.db, self.series, start_ns, end_ns, |samples| {
                on = samples.iter().all(|sample| {
                    let mut one = Aggregate::default();
                    one.add(&sample.value);
                    (self.visit)(sample.time_ns, &one)
                });
                on
            })?;
            return Ok(on);
        };
        let floor_of_start = floor(start_ns, tier.width_ns);
        let first = if floor_of_start == start_ns {
            start_ns
        } else {
            floor_of_start.saturating_add(tier.width_ns)
        };
        let behind = floor(end_ns, tier.width_ns);
        if first >= behind {
            return self.walk(level - 1, start_ns, end_ns);
        }
        if start_ns < first && !self.walk(level - 1, start_ns, first)? {
            return Ok(false);
        }
        rollup::scan(self.db, self.series, *tier, first, behind, |bucket, sum| {
            on = (self.visit)(bucket, sum);
            on
        })?;
        if !on {
            return Ok(false);
        }
        if behind < end_ns {
            return self.walk(level - 1, behind, end_ns);
        }
        Ok(true)
    }
}
