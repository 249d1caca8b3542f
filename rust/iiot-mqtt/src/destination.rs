//! The topics to which values may be published: those that MQTT allows, except for the gateway's
//! own topics.

use iiot_core::mqtt_text::text_fault;
use rumqttc_v4::mqttbytes::{matches, valid_filter};

use crate::config_error::ConfigError;

/// Judges the topics of values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Destinations {
    own: Vec<String>,
}

impl Destinations {
    /// `own` are filters of the gateway's own topics.
    pub fn new(own: &[String]) -> Result<Self, ConfigError> {
        match own.iter().find_map(|filter| filter_fault(filter)) {
            Some(fault) => Err(ConfigError::new("own_topics", fault)),
            None => Ok(Self { own: own.to_vec() }),
        }
    }

    /// Why no value may be published to this topic, whatever its document says; `None` if values
    /// may.
    pub fn refusal(&self, topic: &str) -> Option<String> {
        if let Some(fault) = topic_fault(topic) {
            return Some(format!("topic_name_invalid: it {fault}"));
        }
        let own = self.own.iter().find(|filter| matches(topic, filter))?;
        Some(format!(
            "topic_of_the_gateway: {own} belongs to the gateway itself"
        ))
    }
}

/// Why nothing can be published to this topic, as words to be put after "it".
pub(crate) fn topic_fault(topic: &str) -> Option<String> {
    if topic.is_empty() {
        return Some("is empty".to_owned());
    }
    if topic.contains(['+', '#']) {
        return Some("holds a wildcard".to_owned());
    }
    text_fault(topic).map(|fault| fault.to_string())
}

/// Why nothing can be subscribed to with this filter.
pub(crate) fn filter_fault(filter: &str) -> Option<String> {
    // The text is checked first, because an error must not show 64 KiB of a filter.
    if let Some(fault) = text_fault(filter) {
        return Some(format!("a topic filter {fault}"));
    }
    (!valid_filter(filter)).then(|| format!("{filter:?} is not a topic filter"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destinations() -> Destinations {
        let own = ["iiot/gateway/#", "iiot/+/state/#", "iiot/+/set/#"];
        Destinations::new(&own.map(str::to_owned)).unwrap()
    }

    #[test]
    fn no_value_goes_to_what_belongs_to_the_gateway() {
        for topic in [
            "iiot/gateway",
            "iiot/gateway/status",
            "iiot/gateway/a/b",
            "iiot/node1/set/led",
            "iiot/gateway/set/x",
            "iiot/node1/state",
        ] {
            let refusal = destinations().refusal(topic).unwrap();
            assert!(
                refusal.starts_with("topic_of_the_gateway: iiot/"),
                "{refusal}"
            );
        }
        for topic in [
            "iiot/gateways/status",
            "iiot/node1/gateway/status",
            "other/gateway/status",
            "iiot/node1/status",
            "iiot/a/b/set/c",
            "iiot",
        ] {
            assert_eq!(destinations().refusal(topic), None, "{topic}");
        }
    }

    #[test]
    fn no_value_goes_where_the_broker_would_close_the_connection() {
        for (topic, reason) in [
            ("", "topic_name_invalid: it is empty"),
            ("a/+", "topic_name_invalid: it holds a wildcard"),
            (
                "a\u{7f}",
                "topic_name_invalid: it holds U+007F, a control character, which MQTT does not allow",
            ),
        ] {
            assert_eq!(destinations().refusal(topic).as_deref(), Some(reason));
        }
        assert_eq!(destinations().refusal(&"x".repeat(65_535)), None);
        assert!(destinations().refusal(&"x".repeat(65_536)).is_some());
    }

    #[test]
    fn own_topics_that_are_no_filters_are_refused() {
        for filter in ["a/#/b", "", "a\n/#"] {
            assert_eq!(
                Destinations::new(&[filter.to_owned()]).unwrap_err().setting,
                "own_topics"
            );
        }
    }
}
