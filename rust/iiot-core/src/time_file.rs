//! Reads the rules of a profile file for times: their places, their formats, and which are believed.

use crate::calendar::rfc3339;
use crate::moment::Belief;
use crate::path::Path;
use crate::path_keys::without_wildcards;
use crate::time_format::TimeFormat;
use crate::toml_table::{Faults, Table};

/// The paths of a time, of which the first that leads to a value counts, and the format.
pub(crate) fn read_time(
    table: &mut Table<'_>,
    faults: &mut Faults<'_>,
) -> Option<(Vec<Path>, TimeFormat)> {
    let texts = table.list("path", faults);
    let paths: Option<Vec<Path>> = texts
        .iter()
        .map(|text| without_wildcards(table, "path", text, faults))
        .collect();
    if table.at("path").is_none() {
        faults.add(table.at(""), "time: `path` is missing");
    }
    let name = table.required_string("format", faults);
    let zone = table.string("zone", faults);
    let name = name?;
    if !(name.contains('%') || TimeFormat::NAMES.contains(&name.as_str())) {
        faults.add_choice(table.at("format"), "format", &name, &TimeFormat::NAMES);
        return None;
    }
    let format = TimeFormat::named(&name, zone.as_deref());
    let at = table.at("zone").or(table.at("format"));
    let format = format.map_err(|message| faults.add(at, &message)).ok();
    Some((paths?, format?))
}

/// Which times are believed.
pub(crate) fn read_belief(table: &mut Table<'_>, belief: &mut Belief, faults: &mut Faults<'_>) {
    if let Some(text) = table.string("earliest", faults) {
        match rfc3339(text.as_bytes()) {
            Some(time_ns) => belief.earliest_ns = time_ns,
            None => faults.add(
                table.at("earliest"),
                &format!("earliest: expected a time such as 2020-01-01T00:00:00Z, found `{text}`"),
            ),
        }
    }
    if let Some(seconds) = table.integer("most_ahead_s", 0, 3_000_000_000, faults) {
        belief.most_ahead_ns = seconds * 1_000_000_000;
    }
}
