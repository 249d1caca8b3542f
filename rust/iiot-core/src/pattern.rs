//! Patterns for names: `*` stands for any number of characters, including none, and `?` for exactly one.

use crate::path::PathStep;

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// One name.
    Name(Vec<u8>),
    Wild(Vec<Token>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Byte(u8),
    /// One character.
    One,
    /// Any characters.
    Any,
}

impl Pattern {
    /// Read a pattern.
    pub(crate) fn new(text: &str) -> Self {
        let tokens = text.bytes().map(|byte| match byte {
            b'*' => Token::Any,
            b'?' => Token::One,
            _ => Token::Byte(byte),
        });
        Self::of(tokens.collect())
    }

    /// This name alone.
    pub(crate) fn of_key(name: &str) -> Self {
        Self::Name(name.as_bytes().to_vec())
    }

    /// The names of the values that a path leads to, when the names of its steps are joined by a separator.
    pub(crate) fn of_path(steps: &[PathStep], separator: &str) -> Self {
        let bytes = |text: &str| -> Vec<Token> { text.bytes().map(Token::Byte).collect() };
        let steps = steps.iter().map(|step| match step {
            PathStep::Key(key) => bytes(key),
            PathStep::Item(index) => bytes(&index.to_string()),
            PathStep::Any => vec![Token::Any],
        });
        let steps: Vec<Vec<Token>> = steps.collect();
        Self::of(steps.join(&bytes(separator)[..]))
    }

    fn of(tokens: Vec<Token>) -> Self {
        let bytes = tokens.iter().map(|token| match token {
            Token::Byte(byte) => Some(*byte),
            Token::One | Token::Any => None,
        });
        match bytes.collect() {
            Some(name) => Self::Name(name),
            None => Self::Wild(tokens),
        }
    }

    /// Whether it can match more than one name.
    pub(crate) fn is_wild(text: &str) -> bool {
        text.contains(['*', '?'])
    }

    /// Whether a name, which is UTF-8, matches.
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Name(wanted) => wanted == name,
            Self::Wild(tokens) => matches(tokens, name),
        }
    }
}

fn matches(tokens: &[Token], name: &[u8]) -> bool {
    let (mut at, mut token) = (0, 0);
    // Where to go on if the part after the last `*` does not match: then the `*` matches one more character.
    let mut retry: Option<(usize, usize)> = None;
    while at < name.len() || token < tokens.len() {
        let step = match (tokens.get(token), name.get(at)) {
            (Some(Token::Any), _) => {
                retry = Some((at, token));
                token += 1;
                continue;
            }
            (Some(Token::Byte(wanted)), Some(byte)) if wanted == byte => 1,
            (Some(Token::One), Some(byte)) => character_bytes(*byte),
            _ => 0,
        };
        if step > 0 {
            at += step;
            token += 1;
            continue;
        }
        let Some((from, any)) = retry else {
            return false;
        };
        let Some(byte) = name.get(from) else {
            return false;
        };
        at = from + character_bytes(*byte);
        token = any + 1;
        retry = Some((at, any));
    }
    true
}

/// Whether one of the patterns matches.
pub(crate) fn any_matches(patterns: &[Pattern], name: &[u8]) -> bool {
    patterns.iter().any(|pattern| pattern.matches(name))
}

/// How many bytes a character has that begins with this one.
fn character_bytes(first: u8) -> usize {
    match first {
        0xf0.. => 4,
        0xe0..=0xef => 3,
        0xc0..=0xdf => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;
    use crate::path::Path;

    #[test]
    fn patterns_match_whole_names() {
        //! Stars may stand anywhere and for nothing; a question mark is one character, however many bytes it has.
        for (pattern, name) in [
            ("", ""),
            ("a", "a"),
            ("*", ""),
            ("*", "a_b"),
            ("a*", "a"),
            ("*_b", "a_b_b"),
            ("a*b*c", "axbxbxc"),
            ("?", "é"),
            ("n_?_z", "n_€_z"),
            ("**", "x"),
        ] {
            assert!(
                Pattern::new(pattern).matches(name.as_bytes()),
                "{pattern} {name}"
            );
        }
        for (pattern, name) in [
            ("", "a"),
            ("a", ""),
            ("a", "ab"),
            ("a*", "ba"),
            ("*a", "ab"),
            ("?", ""),
            ("?", "ab"),
            ("*??", "€"),
            ("a*b*c", "axbx"),
            ("[ab]", "a"),
        ] {
            assert!(
                !Pattern::new(pattern).matches(name.as_bytes()),
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn a_path_is_its_joined_names() {
        //! What would be a star in a pattern is a character of the key here.
        let path = Path::parse(r#"a."*"[2]"#).unwrap();
        let pattern = Pattern::of_path(&path.steps, "_");
        assert!(pattern.matches(b"a_*_2"));
        assert!(!pattern.matches(b"a_x_2"));
    }
}
