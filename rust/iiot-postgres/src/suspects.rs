//! Series with rows that the server refused lately. Their rows are sent separately, so that a device with wrong rows does not abort the COPY of the others.

use crate::rows::Rows;
use std::collections::{HashMap, HashSet};

/// After this many batches without a refusal, a series is trusted again.
const CLEAN_BATCHES: u32 = 20;
/// The most series that are remembered. With more, the fault is in the table and not in a device.
const MOST: usize = 1000;

/// Series by their number, with the number of consecutive batches without a refusal.
#[derive(Debug, Default)]
pub(crate) struct Suspects(HashMap<u64, u32>);

impl Suspects {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn contains(&self, series: u64) -> bool {
        self.0.contains_key(&series)
    }

    /// Note the result of a batch; `blamed` are the series with refused rows.
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
