//! The line of each key in a TOML text, and the tables with a line of their own, for messages to the author of the text.
//!
//! A path is a list of keys; tables, dotted keys and inline tables all have paths. Keys within arrays have no entry: their line is that of the array.

use std::collections::{BTreeMap, BTreeSet};
use toml_parser::Source;
use toml_parser::parser::{Event, EventKind, RecursionGuard, parse_document};

/// Deeper tables and arrays are not examined.
const MAX_DEPTH: u32 = 100;

/// The places in a TOML text.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The line of each path, from 1: where it is first named.
    pub lines: BTreeMap<Vec<String>, usize>,
    /// Every table that a line of its own opens.
    pub headers: BTreeSet<Vec<String>>,
    /// Each table with a line of its own and each key, with its line, in the order of the text; and whether it is a table of an array.
    pub order: Vec<(Vec<String>, usize, bool)>,
}

/// Find the places of a text. If it is not TOML, find those that are recognisable.
pub fn places(text: &str) -> Places {
    let source = Source::new(text);
    let tokens = source.lex().into_vec();
    let mut walk = Walk {
        source,
        found: Places::default(),
        tables: vec![Vec::new()],
        path: Vec::new(),
        parts: Vec::new(),
        arrays: 0,
        line: 1,
        seen: 0,
    };
    let mut receiver = |event: Event| walk.take(&event);
    parse_document(
        &tokens,
        &mut RecursionGuard::new(&mut receiver, MAX_DEPTH),
        &mut (),
    );
    walk.found
}

struct Walk<'a> {
    source: Source<'a>,
    found: Places,
    /// The table of the last header, and the inline tables that are open within it.
    tables: Vec<Vec<String>>,
    /// The path of the last key, whose value comes next.
    path: Vec<String>,
    /// The parts of a key so far.
    parts: Vec<String>,
    arrays: usize,
    /// The line at `seen`.
    line: usize,
    seen: usize,
}

impl Walk<'_> {
    fn take(&mut self, event: &Event) {
        match event.kind() {
            EventKind::StdTableOpen | EventKind::ArrayTableOpen => self.parts.clear(),
            EventKind::SimpleKey => {
                self.go_to(event.span().start());
                let mut key = String::new();
                if let Some(raw) = self.source.get(event) {
                    raw.decode_key(&mut key, &mut ());
                }
                self.parts.push(key);
            }
            EventKind::StdTableClose | EventKind::ArrayTableClose => {
                let table = std::mem::take(&mut self.parts);
                self.remember(&table);
                let is_array = event.kind() == EventKind::ArrayTableClose;
                self.found.order.push((table.clone(), self.line, is_array));
                self.found.headers.insert(table.clone());
                self.tables = vec![table];
            }
            EventKind::KeyValSep => {
                let mut path = self.tables.last().cloned().unwrap_or_default();
                path.append(&mut self.parts);
                if self.arrays == 0 {
                    self.remember(&path);
                    self.found.order.push((path.clone(), self.line, false));
                }
                self.path = path;
            }
            EventKind::InlineTableOpen => self.tables.push(self.path.clone()),
            EventKind::InlineTableClose => drop(self.tables.pop()),
            EventKind::ArrayOpen => self.arrays += 1,
            EventKind::ArrayClose => self.arrays = self.arrays.saturating_sub(1),
            _ => {}
        }
    }

    /// Count the lines up to an offset.
    fn go_to(&mut self, offset: usize) {
        let passed = self.source.input().as_bytes().get(self.seen..offset);
        self.line += passed.map_or(0, |bytes| memchr::memchr_iter(b'\n', bytes).count());
        self.seen = self.seen.max(offset);
    }

    fn remember(&mut self, path: &[String]) {
        for length in 1..=path.len() {
            let begin = path.get(..length).unwrap_or_default();
            if !self.found.lines.contains_key(begin) {
                self.found.lines.insert(begin.to_vec(), self.line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_table_is_told_from_none() {
        let headers = places("[a.b]\n[a]\n[[c]]\nd.e = 1\n").headers;

        let known: Vec<_> = headers.iter().map(|path| path.join(".")).collect();
        assert_eq!(known, ["a", "a.b", "c"]);
    }

    #[test]
    fn a_quoted_key_is_the_text_that_it_means() {
        let lines = places("\n\"a\\u0062.c\".'d' = 1\n").lines;

        assert_eq!(
            lines.get(&["ab.c".to_owned(), "d".to_owned()][..]),
            Some(&2)
        );
    }

    #[test]
    fn a_text_that_nests_without_end_is_left_alone() {
        let deep = format!("a = {}", "[".repeat(1_000_000));

        assert_eq!(places(&deep).lines.len(), 1);
    }
}
