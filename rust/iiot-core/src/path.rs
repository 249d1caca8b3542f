//! The path of a value in a document: `n1.t`, `rxInfo[0].rssi`, `nodes.*.t`.
//!
//! Keys are separated by dots; a key that contains a dot, a bracket, an asterisk or a space is put in quotes (`"a.b".c`). `[n]` is item n of an
//! array. `*` (or `[*]`) stands for every key of an object and every item of an array. `.` alone is the whole.

use std::fmt;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PathStep {
    Key(String),
    Item(usize),
    Any,
}

/// A path: its text and its steps.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    text: String,
    pub(crate) steps: Vec<PathStep>,
}

impl Path {
    /// Read a path; the error is a message for its author.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        if text == "." {
            return Ok(Self {
                text: text.to_owned(),
                steps,
            });
        }
        let mut rest = text;
        loop {
            let behind = if rest.starts_with('[') && steps.is_empty() {
                rest
            } else if let Some(quoted) = rest.strip_prefix('"') {
                let (key, behind) = quoted
                    .split_once('"')
                    .ok_or_else(|| format!("path `{text}`: a quote is not closed"))?;
                steps.push(PathStep::Key(key.to_owned()));
                behind
            } else {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                let (key, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
                if key == "*" {
                    steps.push(PathStep::Any);
                } else if key.is_empty()
                    || key.contains(|c: char| {
                        matches!(c, '*' | ']' | '"' | '{' | '}') || c.is_whitespace()
                    })
                {
                    return Err(format!(
                        "path `{text}`: expected a key, `*` or a key in quotes, found `{key}`"
                    ));
                } else {
                    steps.push(PathStep::Key(key.to_owned()));
                }
                behind
            };
            rest = Self::items(text, behind, &mut steps)?;
            match rest.strip_prefix('.') {
                Some(next) => rest = next,
                None if rest.is_empty() => break,
                None => {
                    return Err(format!(
                        "path `{text}`: expected `.` or `[` before `{rest}`"
                    ));
                }
            }
        }
        if steps.len() > crate::json::MAX_DEPTH {
            return Err(format!(
                "path `{text}`: deeper than {} steps",
                crate::json::MAX_DEPTH
            ));
        }
        Ok(Self {
            text: text.to_owned(),
            steps,
        })
    }

    fn items<'a>(
        text: &str,
        mut rest: &'a str,
        steps: &mut Vec<PathStep>,
    ) -> Result<&'a str, String> {
        while let Some(inside) = rest.strip_prefix('[') {
            let (index, behind) = inside
                .split_once(']')
                .ok_or_else(|| format!("path `{text}`: a bracket is not closed"))?;
            steps.push(match index {
                "*" => PathStep::Any,
                _ => PathStep::Item(index.parse().map_err(|_| {
                    format!("path `{text}`: `[{index}]` is not a whole number or `*`")
                })?),
            });
            rest = behind;
        }
        Ok(rest)
    }

    /// The path of one key, which may contain any character.
    pub(crate) fn of_key(key: &str) -> Self {
        Self {
            text: key.to_owned(),
            steps: vec![PathStep::Key(key.to_owned())],
        }
    }

    /// The path of the whole document or item.
    pub(crate) fn whole() -> Self {
        Self {
            text: ".".to_owned(),
            steps: Vec::new(),
        }
    }

    /// The path of every key and item.
    pub(crate) fn any() -> Self {
        Self {
            text: "*".to_owned(),
            steps: vec![PathStep::Any],
        }
    }

    /// Its first step, if that is a key.
    pub(crate) fn first_key(&self) -> Option<String> {
        match self.steps.first() {
            Some(PathStep::Key(key)) => Some(key.clone()),
            _ => None,
        }
    }

    /// How many wildcards it has.
    pub(crate) fn wildcards(&self) -> usize {
        self.steps
            .iter()
            .filter(|step| **step == PathStep::Any)
            .count()
    }

    /// Whether it begins with all of `other`.
    pub(crate) fn starts_with(&self, other: &Self) -> bool {
        self.steps.starts_with(&other.steps)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}
