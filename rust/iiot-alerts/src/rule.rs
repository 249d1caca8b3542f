//! A rule of the configuration, compiled once.

use crate::hours::Hours;
use crate::message::{Filling, Message};
use crate::rule_error::RuleError;
use crate::time_text::rfc3339;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Nanoseconds of a second.
pub(crate) const SECOND: i64 = 1_000_000_000;

/// The keys of a rule in their written form; times are in seconds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default)]
    profiles: Vec<String>,
    #[serde(default)]
    measurement: String,
    #[serde(default)]
    field: String,
    #[serde(default)]
    gateway: String,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    by: Vec<String>,
    of: String,
    #[serde(default)]
    absolute: bool,
    #[serde(default)]
    window_s: f64,
    #[serde(default)]
    per: String,
    above: Option<f64>,
    below: Option<f64>,
    #[serde(default)]
    hysteresis: f64,
    #[serde(default)]
    for_s: f64,
    #[serde(default)]
    silent_s: f64,
    #[serde(default)]
    hours: String,
    #[serde(default)]
    zone: String,
    #[serde(default)]
    message: String,
    severity: String,
    receivers: Vec<String>,
}

/// What is compared with the limits.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// The newest value.
    Value,
    /// The mean of the values within this many nanoseconds.
    Mean(i64),
    /// The change within this many nanoseconds.
    Change(i64),
    /// The rate of change, in units per this many seconds.
    Rate(i64, f64),
    /// The time without any value: an alert begins after this many nanoseconds, within these hours.
    Silence(i64, Option<Hours>),
}

impl Measure {
    /// The length of its window.
    pub(crate) fn window_ns(&self) -> Option<i64> {
        match self {
            Self::Mean(width_ns) | Self::Change(width_ns) | Self::Rate(width_ns, _) => {
                Some(*width_ns)
            }
            Self::Value | Self::Silence(..) => None,
        }
    }
}

/// The points that a rule watches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Only frames of these profiles; empty: of any profile.
    pub profiles: Vec<String>,
    /// The measurement; empty: any.
    pub measurement: String,
    pub field: String,
    /// Instead of points, the figure of the gateway with this name.
    pub gateway: String,
    /// The tags that a point must have, with their values.
    pub tags: BTreeMap<String, String>,
    /// One series per combination of these tags. None: per combination of all tags, or for a silence, one series for all points.
    pub by: Vec<String>,
}

/// The limits above and below which an alert begins, and how far a value must come back to end it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Bounds {
    above: Option<f64>,
    below: Option<f64>,
    hysteresis: f64,
}

impl Bounds {
    /// Whether the alert holds with this value; `is_firing` says whether it held before.
    pub(crate) fn hold(self, value: f64, is_firing: bool) -> bool {
        let slack = if is_firing { self.hysteresis } else { 0.0 };
        let is_above = |limit: f64| value > limit - slack;
        let is_below = |limit: f64| value < limit + slack;
        // A value equal to the limit is no alert, in either direction, even with a hysteresis of 0.
        self.above.is_some_and(is_above) || self.below.is_some_and(is_below)
    }
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// `warning` or `critical`.
    pub severity: String,
    /// Who is told.
    pub receivers: Vec<String>,
    /// What is compared with the limits.
    pub measure: Measure,
    pub(crate) selection: Selection,
    pub(crate) bounds: Bounds,
    pub(crate) absolute: bool,
    pub(crate) for_ns: i64,
    pub(crate) message: Message,
}

impl Rule {
    /// Compile a rule from the JSON text of its keys.
    pub fn parse(json: &str) -> Result<Self, RuleError> {
        let written: Written = serde_json::from_str(json).map_err(|e| fault("name", &e))?;
        written.compile()
    }

    /// Whether the rule only checks whether any value came.
    pub(crate) fn is_silence(&self) -> bool {
        matches!(self.measure, Measure::Silence(..))
    }

    /// Whether the rule looks at figures of the gateway, not at points.
    pub fn is_of_gateway(&self) -> bool {
        !self.selection.gateway.is_empty()
    }

    /// Since when the present hours last in which a silence counts; none outside of them. Without hours, a silence always counts.
    pub(crate) fn working(&self, now_ns: i64) -> Option<i64> {
        match &self.measure {
            Measure::Silence(_, Some(hours)) => hours.since(now_ns),
            _ => Some(i64::MIN),
        }
    }

    /// A text of the properties that define the rule's series. If it changes, earlier states are meaningless.
    pub(crate) fn identity(&self) -> String {
        let Selection {
            measurement,
            field,
            gateway,
            by,
            ..
        } = &self.selection;
        let measure = match self.measure {
            Measure::Value => "value",
            Measure::Mean(_) => "mean",
            Measure::Change(_) => "change",
            Measure::Rate(..) => "rate",
            Measure::Silence(..) => "silence",
        };
        format!(
            "{measurement}|{field}|{gateway}|{by:?}|{measure}|{}",
            self.absolute
        )
    }
}

fn fault(key: &'static str, message: &impl ToString) -> RuleError {
    RuleError {
        key,
        message: message.to_string(),
    }
}

fn nanoseconds(seconds: f64) -> i64 {
    (seconds * SECOND as f64) as i64
}

impl Written {
    fn measure(&self) -> Result<Measure, RuleError> {
        let window = nanoseconds(self.window_s);
        match self.of.as_str() {
            "value" => Ok(Measure::Value),
            "mean" => Ok(Measure::Mean(window)),
            "change" => Ok(Measure::Change(window)),
            "rate" => {
                let per_s = match self.per.as_str() {
                    "second" => 1.0,
                    "minute" => 60.0,
                    "day" => 86_400.0,
                    _ => 3_600.0,
                };
                Ok(Measure::Rate(window, per_s))
            }
            _ => {
                let hours = if self.hours.is_empty() {
                    None
                } else {
                    Some(Hours::parse(&self.hours, &self.zone)?)
                };
                Ok(Measure::Silence(nanoseconds(self.silent_s), hours))
            }
        }
    }

    fn compile(self) -> Result<Rule, RuleError> {
        let measure = self.measure()?;
        let message = if self.message.is_empty() {
            Message::usual(matches!(measure, Measure::Silence(..)))
        } else {
            Message::parse(&self.message).map_err(|e| fault("message", &e))?
        };
        let mut by = self.by;
        by.sort();
        by.dedup();
        Ok(Rule {
            name: self.name,
            severity: self.severity,
            receivers: self.receivers,
            measure,
            selection: Selection {
                profiles: self.profiles,
                measurement: self.measurement,
                field: self.field,
                gateway: self.gateway,
                tags: self.tags,
                by,
            },
            bounds: Bounds {
                above: self.above,
                below: self.below,
                hysteresis: self.hysteresis,
            },
            absolute: self.absolute,
            for_ns: nanoseconds(self.for_s),
            message,
        })
    }
}

impl Selection {
    /// Whether a series with these labels is still selected. The labels are all tags only if the rule does not name some.
    pub(crate) fn takes_labels(&self, labels: &[(String, String)]) -> bool {
        self.tags.iter().all(|(key, value)| {
            let is_label = self.by.is_empty() || self.by.contains(key);
            !is_label || labels.is_empty() || labels.iter().any(|(k, v)| (k, v) == (key, value))
        })
    }
}

impl Rule {
    /// The message of an alert, for people.
    pub(crate) fn text(&self, labels: &[(String, String)], value: &str, since_ns: i64) -> String {
        let field = match self.selection.field.as_str() {
            "" => self.selection.gateway.as_str(),
            field => field,
        };
        self.message.fill(&Filling {
            rule: &self.name,
            field,
            value,
            since: &rfc3339(since_ns),
            labels,
        })
    }
}
