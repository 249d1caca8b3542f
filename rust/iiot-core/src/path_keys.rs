//! Keys of a profile file that are paths or templates; a fault has the line of its key.

use crate::path::Path;
use crate::template::Template;
use crate::toml_table::{Faults, Table};
use crate::trie::{Slot, Trie};

/// A path.
pub(crate) fn path(table: &mut Table<'_>, key: &str, faults: &mut Faults) -> Option<Path> {
    let text = table.string(key, faults)?;
    parse(table, key, &text, faults)
}

fn parse(table: &Table<'_>, key: &str, text: &str, faults: &mut Faults) -> Option<Path> {
    Path::parse(text)
        .map_err(|message| faults.add(table.at(key), &format!("{key}: {message}")))
        .ok()
}

/// A path without wildcards.
pub(crate) fn plain_path(table: &mut Table<'_>, key: &str, faults: &mut Faults) -> Option<Path> {
    let text = table.string(key, faults)?;
    without_wildcards(table, key, &text, faults)
}

/// A list of paths without wildcards.
pub(crate) fn plain_paths(table: &mut Table<'_>, key: &str, faults: &mut Faults) -> Vec<Path> {
    let texts = table.texts(key, faults);
    let paths = texts.iter();
    paths
        .filter_map(|text| without_wildcards(table, key, text, faults))
        .collect()
}

/// A text as a path without wildcards.
pub(crate) fn without_wildcards(
    table: &Table<'_>,
    key: &str,
    text: &str,
    faults: &mut Faults,
) -> Option<Path> {
    let path = parse(table, key, text, faults)?;
    if path.wildcards() > 0 {
        faults.add(
            table.at(key),
            &format!("{key}: `{path}` must not have wildcards"),
        );
        return None;
    }
    Some(path)
}

/// The slot of a path without wildcards.
pub(crate) fn single(
    table: &mut Table<'_>,
    key: &str,
    trie: &mut Trie,
    faults: &mut Faults,
) -> Option<Slot> {
    plain_path(table, key, faults).map(|path| trie.want(&path))
}

/// A text as a template whose metric has so many wildcards.
pub(crate) fn template(
    table: &Table<'_>,
    key: &str,
    text: &str,
    wildcards: usize,
    faults: &mut Faults,
) -> Option<Template<Path>> {
    Template::parse(text, wildcards)
        .map_err(|message| faults.add(table.at(key), &format!("{key}: {message}")))
        .ok()
}
