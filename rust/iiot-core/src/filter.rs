//! MQTT topic filters whose levels may have names: `iotflow/devices/{device}/telemetry/{type}`.
//!
//! `+` stands for one level, `#` at the end for any number of levels, including none. A level in braces is a `+` with a name, which templates can
//! use. As MQTT 4.7.2 says, a filter that begins with a wildcard matches no topic that begins with `$`.

use std::ops::Range;

/// One level of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Level {
    Text(String),
    Any,
    /// Any level; its text is kept under the number of its name.
    Named(usize),
}

/// A filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    levels: Vec<Level>,
    /// It ends with `#`.
    is_open: bool,
}

impl Filter {
    /// Read a filter. `names` holds the names known so far, and gets the new ones. The error is a message for the author of the filter.
    pub(crate) fn parse(text: &str, names: &mut Vec<String>) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a filter is empty".to_owned());
        }
        let mut levels = Vec::new();
        let mut own: Vec<&str> = Vec::new();
        let mut pieces = text.split('/').peekable();
        while let Some(piece) = pieces.next() {
            if piece == "#" {
                return if pieces.peek().is_none() {
                    Ok(Self {
                        levels,
                        is_open: true,
                    })
                } else {
                    Err(format!("`{text}`: `#` must be the last level"))
                };
            }
            if piece == "+" {
                levels.push(Level::Any);
            } else if let Some(name) = piece.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
                let is_name = !name.is_empty()
                    && name
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
                    && name.parse::<usize>().is_err();
                if !is_name {
                    return Err(format!(
                        "`{text}`: a level's name has letters, digits, `-` and `_`, and is no number; found `{name}`"
                    ));
                }
                if own.contains(&name) {
                    return Err(format!("`{text}`: the name `{name}` stands there twice"));
                }
                own.push(name);
                let number = names.iter().position(|known| known == name);
                levels.push(Level::Named(number.unwrap_or_else(|| {
                    names.push(name.to_owned());
                    names.len() - 1
                })));
            } else if piece.contains(['+', '#', '{', '}', '\0']) {
                return Err(format!(
                    "`{text}`: `+`, `#` and a name in braces must be a level of their own; found `{piece}`"
                ));
            } else {
                levels.push(Level::Text(piece.to_owned()));
            }
        }
        Ok(Self {
            levels,
            is_open: false,
        })
    }

    /// Whether a topic matches. If it does, `named` is told the number and the place in `topic` of each named level.
    pub(crate) fn matches(&self, topic: &[u8], mut named: impl FnMut(usize, Range<usize>)) -> bool {
        let begins_wild = !matches!(self.levels.first(), Some(Level::Text(_)));
        if begins_wild && topic.first() == Some(&b'$') {
            return false;
        }
        let mut pieces = topic.split(|byte| *byte == b'/');
        let mut start = 0;
        for level in &self.levels {
            let Some(piece) = pieces.next() else {
                return false;
            };
            match level {
                Level::Text(text) if text.as_bytes() != piece => return false,
                Level::Text(_) | Level::Any => {}
                Level::Named(number) => named(*number, start..start + piece.len()),
            }
            start += piece.len() + 1;
        }
        self.is_open || pieces.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::Filter;

    fn matched(filter: &str, topic: &str) -> Option<Vec<String>> {
        let mut names = Vec::new();
        let filter = Filter::parse(filter, &mut names).unwrap();
        let mut found = vec![String::new(); names.len()];
        let matches = filter.matches(topic.as_bytes(), |number, range| {
            found[number] = topic.get(range).unwrap().to_owned();
        });
        matches.then_some(found)
    }

    /// The examples of MQTT 4.7.1, and named levels.
    #[test]
    fn filters_match_as_mqtt_says() {
        for (filter, topic) in [
            ("sport/tennis/player1/#", "sport/tennis/player1"),
            (
                "sport/tennis/player1/#",
                "sport/tennis/player1/score/wimbledon",
            ),
            ("#", "a"),
            ("+", "finance"),
            ("/+", "/finance"),
            ("+/+", "/finance"),
            ("$SYS/#", "$SYS/broker"),
            ("sport/+", "sport/"),
        ] {
            assert_eq!(matched(filter, topic), Some(vec![]), "{filter} {topic}");
        }
        for (filter, topic) in [
            ("sport/+", "sport"),
            ("+", "/finance"),
            ("#", "$SYS/broker"),
            ("+/monitor", "$SYS/monitor"),
            ("{any}/monitor", "$SYS/monitor"),
            ("a/b", "a/b/c"),
            ("a/b", "a/B"),
        ] {
            assert_eq!(matched(filter, topic), None, "{filter} {topic}");
        }
        assert_eq!(
            matched("d/{device}/t/{type}/#", "d/é7/t//x"),
            Some(vec!["é7".into(), String::new()])
        );
    }

    /// What MQTT does not allow, and names that templates could not use, are refused.
    #[test]
    fn what_is_no_filter_is_refused() {
        for filter in [
            "", "a/#/b", "a#", "a+/b", "{}/a", "{1}", "{a b}", "{a}/{a}", "x{a}", "a\0",
        ] {
            assert!(Filter::parse(filter, &mut Vec::new()).is_err(), "{filter}");
        }
    }
}
