//! The URL of a broker.

use crate::config_error::ConfigError;

/// The parts of a broker's URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BrokerUrl {
    pub tls: bool,
    pub host: String,
    pub port: u16,
}

impl BrokerUrl {
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let wrong = |message: &str| ConfigError::new("broker_url", message);
        let (scheme, rest) = text.split_once("://").ok_or_else(|| {
            wrong("has no scheme; expected mqtt://host[:port] or mqtts://host[:port] (tcp:// and ssl:// mean the same)")
        })?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "mqtt" | "tcp" => false,
            "mqtts" | "ssl" => true,
            other => {
                let shown: String = other.chars().take(40).collect();
                return Err(ConfigError::new(
                    "broker_url",
                    format!(
                        "scheme {shown:?} is not known; accepted are mqtt, tcp (plain), mqtts, ssl (TLS)"
                    ),
                ));
            }
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if rest.len() > authority.len() + 1 {
            return Err(wrong(
                "has something behind the port; expected scheme://host:port",
            ));
        }
        if authority.contains('@') {
            return Err(wrong(
                "holds a user name; `username` and `password` are its place, so that no log shows a password",
            ));
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(inner) => {
                let (host, behind) = inner
                    .split_once(']')
                    .ok_or_else(|| wrong("the bracket of the IPv6 address is not closed"))?;
                if host.parse::<std::net::Ipv6Addr>().is_err() {
                    return Err(wrong("there is no IPv6 address between the brackets"));
                }
                (
                    host,
                    behind.strip_prefix(':').or(if behind.is_empty() {
                        None
                    } else {
                        Some(behind)
                    }),
                )
            }
            None => authority
                .split_once(':')
                .map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(wrong("has no host"));
        }
        let port = match port {
            None => {
                if tls {
                    8883
                } else {
                    1883
                }
            }
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(|| {
                wrong("the port is not a number from 1 to 65535 (an IPv6 address needs brackets)")
            })?,
        };
        Ok(Self {
            tls,
            host: host.to_owned(),
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;

    fn parsed(url: &str) -> Result<BrokerUrl, String> {
        BrokerUrl::parse(url).map_err(|error| error.to_string())
    }

    #[test]
    fn urls_give_host_and_port() {
        let plain = |tls, host: &str, port| {
            let host = host.to_owned();
            Ok(BrokerUrl { tls, host, port })
        };
        assert_eq!(parsed("mqtt://broker"), plain(false, "broker", 1883));
        assert_eq!(parsed("tcp://broker:1884/"), plain(false, "broker", 1884));
        assert_eq!(parsed("MQTTS://broker"), plain(true, "broker", 8883));
        assert_eq!(parsed("ssl://[::1]:8884"), plain(true, "::1", 8884));
        assert_eq!(parsed("mqtt://[fe80::1]"), plain(false, "fe80::1", 1883));
    }

    #[test]
    fn a_scheme_that_is_not_known_names_those_that_are() {
        let error = parsed("ws://broker").unwrap_err();

        assert_eq!(
            error,
            "broker_url: scheme \"ws\" is not known; accepted are mqtt, tcp (plain), mqtts, ssl (TLS)"
        );
    }

    #[test]
    fn urls_that_cannot_be_used_are_refused_without_showing_the_password() {
        for url in [
            "broker",
            "mqtt://",
            "mqtt://u:secret@",
            "mqtt://b:0",
            "mqtt://b:x",
            "mqtt://::1",
            "mqtt://[::1",
            "mqtt://[x]",
            "mqtt://u:secret@b",
            "mqtt://b/path",
        ] {
            let error = parsed(url).unwrap_err();

            assert!(
                error.starts_with("broker_url: ") && !error.contains("secret"),
                "{url}: {error}"
            );
        }
    }
}
