//! The message of an alert: a text with placeholders for tags, the value and others.

/// A text with placeholders: `Low inventory: {chemical} at {percent_full} %`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Hole(String),
}

/// The values for the placeholders.
pub(crate) struct Filling<'a> {
    pub rule: &'a str,
    /// The name of the field also stands for the value.
    pub field: &'a str,
    pub value: &'a str,
    pub since: &'a str,
    pub labels: &'a [(String, String)],
}

impl Message {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            let (hole, behind) = behind
                .split_once('}')
                .ok_or_else(|| format!("{text:?}: a brace is not closed"))?;
            if hole.is_empty() || hole.contains('{') || before.contains('}') {
                return Err(format!("{text:?}: expected a name in each pair of braces"));
            }
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Hole(hole.to_owned()));
            rest = behind;
        }
        if rest.contains('}') {
            return Err(format!("{text:?}: a closing brace without an opening one"));
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    /// The message of a rule that has none; the rule may be about silence.
    pub(crate) fn usual(of_silence: bool) -> Self {
        let text = |text: &str| Part::Text(text.to_owned());
        let hole = |name: &str| Part::Hole(name.to_owned());
        Self(if of_silence {
            vec![
                hole("alert"),
                text(": nothing came from "),
                hole("labels"),
                text(" since "),
                hole("since"),
            ]
        } else {
            vec![
                hole("alert"),
                text(": "),
                hole("labels"),
                text(" is "),
                hole("value"),
            ]
        })
    }

    pub(crate) fn fill(&self, with: &Filling<'_>) -> String {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Hole(name) => push_hole(name, with, &mut out),
            }
        }
        out
    }
}

fn push_hole(name: &str, with: &Filling<'_>, out: &mut String) {
    if let Some((_, value)) = with.labels.iter().find(|(key, _)| key == name) {
        out.push_str(value);
        return;
    }
    match name {
        "alert" => out.push_str(with.rule),
        "since" => out.push_str(with.since),
        "labels" if with.labels.is_empty() => out.push_str("everything"),
        "labels" => {
            let pairs: Vec<String> = with
                .labels
                .iter()
                .map(|(k, v)| format!("{k} {v}"))
                .collect();
            out.push_str(&pairs.join(", "));
        }
        _ if name == "value" || name == with.field => out.push_str(with.value),
        // This series does not have the tag.
        _ => out.push('?'),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn holes_are_filled_by_tags_first() {
        let labels = [
            ("chemical".into(), "acid".into()),
            ("since".into(), "tag".into()),
        ];
        let filling = Filling {
            rule: "inventory_low",
            field: "percent_full",
            value: "19.5",
            since: "2026-01-01T00:00:00Z",
            labels: &labels,
        };
        let filled = |text: &str| Message::parse(text).unwrap().fill(&filling);
        assert_eq!(
            filled("Low inventory: {chemical} at {percent_full} %"),
            "Low inventory: acid at 19.5 %"
        );
        assert_eq!(
            filled("{alert} {value} {since} {labels} {other}"),
            "inventory_low 19.5 tag chemical acid, since tag ?"
        );
        assert_eq!(
            Message::usual(false).fill(&filling),
            "inventory_low: chemical acid, since tag is 19.5"
        );
    }

    #[test]
    fn braces_that_do_not_fit_are_faults() {
        for text in ["{", "}", "a {b", "a {} b", "{a{b}}"] {
            assert!(Message::parse(text).is_err(), "{text}");
        }
    }
}
