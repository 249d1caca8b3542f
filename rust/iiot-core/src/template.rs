//! Texts with holes: `{path}` is a value of the document, `{1}` is the text that the first wildcard of the metric's
//! path matched.

use crate::path::Path;

/// A piece of a template. `V` names a value: by path while the profile is read, by slot once it is compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part<V> {
    Text(String),
    Value(V),
    /// The n-th wildcard, from 0.
    Wildcard(usize),
}

/// A template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template<V> {
    pub(crate) parts: Vec<Part<V>>,
}

impl Template<Path> {
    /// Read a template that may refer to `wildcards` wildcards; the error is a message for its author.
    pub(crate) fn parse(text: &str, wildcards: usize) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            push_text(text, before, &mut parts)?;
            let (hole, behind) = behind
                .split_once('}')
                .ok_or_else(|| format!("`{text}`: a brace is not closed"))?;
            parts.push(match hole.parse::<usize>() {
                Ok(number) if (1..=wildcards).contains(&number) => Part::Wildcard(number - 1),
                Ok(number) => return Err(format!("`{text}`: {{{number}}} needs {number} wildcards in the path, which has {wildcards}")),
                Err(_) => {
                    let path = Path::parse(hole)?;
                    if path.wildcards() > 0 {
                        return Err(format!("`{text}`: the path `{hole}` in braces must not have wildcards"));
                    }
                    Part::Value(path)
                }
            });
            rest = behind;
        }
        push_text(text, rest, &mut parts)?;
        Ok(Self { parts })
    }

    /// Replace the paths of values by the result of `slot`.
    pub(crate) fn compile<V>(self, mut slot: impl FnMut(Path) -> V) -> Template<V> {
        let parts = self.parts.into_iter().map(|part| match part {
            Part::Text(text) => Part::Text(text),
            Part::Value(path) => Part::Value(slot(path)),
            Part::Wildcard(number) => Part::Wildcard(number),
        });
        Template {
            parts: parts.collect(),
        }
    }
}

impl<V> Template<V> {
    /// A template without holes.
    pub(crate) fn of_text(text: &str) -> Self {
        Self {
            parts: vec![Part::Text(text.to_owned())],
        }
    }

    /// The text, if there are no holes.
    pub(crate) fn fixed(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The pieces that are text.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| {
            if let Part::Text(text) = part {
                Some(text.as_str())
            } else {
                None
            }
        })
    }
}

fn push_text(whole: &str, text: &str, parts: &mut Vec<Part<Path>>) -> Result<(), String> {
    if text.contains('}') {
        return Err(format!("`{whole}`: a closing brace without an opening one"));
    }
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
    Ok(())
}
