//! Series of which the server refused rows lately. They go apart from all others, so that one device whose rows are wrong does not abort the COPY of the rest.

use crate::rows::Rows;
use std::collections::{HashMap, HashSet};

/// After so many batches without a refusal a series is trusted again.
const CLEAN_BATCHES: u32 = 20;
/// More series than this are not remembered: then something is wrong with the table, and not with a device.
const MOST: usize = 1000;

/// Series by their number, with how many batches in a row were clean.
#[derive(Debug, Default)]
pub(crate) struct Suspects(HashMap<u64, u32>);

impl Suspects {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn contains(&self, series: u64) -> bool {
        self.0.contains_key(&series)
    }

    /// Take what a batch came to; `blamed` are the series of which the server refused a row.
    pub(crate) fn learn(&mut self, rows: &Rows, blamed: &HashSet<u64>) {
        if !self.0.is_empty() {
            let seen: HashSet<u64> = rows
                .tables
                .iter()
                .flat_map(|table| table.series().iter().copied())
                .filter(|series| self.contains(*series) && !blamed.contains(series))
                .collect();
            for series in seen {
                if let Some(clean) = self.0.get_mut(&series) {
                    *clean += 1;
                }
            }
            self.0.retain(|_, clean| *clean < CLEAN_BATCHES);
        }
        for &series in blamed {
            if self.0.len() < MOST || self.contains(series) {
                self.0.insert(series, 0);
            }
        }
    }
}
