//! How much one document may give, so that no document takes more memory than planned.

/// The most points, and for each use the most values, that wildcards may give in one document.
pub const MAX_WILDCARD_POINTS: usize = 1024;
/// The most values that wildcards, or the joined names of other values, may give in one document.
pub(crate) const MAX_WILDCARD_VALUES: usize = 8 * MAX_WILDCARD_POINTS;
