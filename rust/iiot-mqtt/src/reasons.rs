//! Decides who is at fault: the meaning of each reason code of MQTT 5 from 0x80 on for the packets that we sent. Pure.
//!
//! | whose | PUBACK, PUBREC | DISCONNECT | then |
//! |---|---|---|---|
//! | value | 0x80 0x83 0x90 0x95 0x99, unknown ones | 0x81 0x90 0x95 0x99 | the publish is a suspect; a reject once another has gone through |
//! | unclear | | 0x80 0x82 0x83, unknown ones, no reason at all | a suspect only if it is the same publish again and again |
//! | session | 0x87 0x9A 0x9B | 0x87 0x8C 0x8E 0x9A 0x9B 0x9D | nothing is rejected; a person must act, or we adapt |
//! | ours | 0x91 | 0x8F 0x93 0x94 0x9E 0xA1 0xA2 | nothing is rejected; the next connection begins anew, more carefully |
//! | later | 0x97 | 0x89 0x8B 0x8D 0x96 0x97 0x98 0x9C 0x9F 0xA0 | nothing is rejected; come back later |

use crate::ended::EndKind;

/// Who is at fault for a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The publish itself cannot be accepted.
    Value,
    /// The peer does not say.
    Unclear,
    /// Missing rights, or features that this broker does not offer.
    Session,
    /// This client.
    Ours,
    /// Nobody: the condition is temporary.
    Later,
}

pub const UNSPECIFIED: u8 = 0x80;
pub const NOT_AUTHORIZED: u8 = 0x87;
pub const TOPIC_FILTER_INVALID: u8 = 0x8F;
pub const RECEIVE_MAXIMUM_EXCEEDED: u8 = 0x93;
pub const QUOTA_EXCEEDED: u8 = 0x97;
pub const RETAIN_NOT_SUPPORTED: u8 = 0x9A;
pub const QOS_NOT_SUPPORTED: u8 = 0x9B;

/// The stable word for a code.
pub fn word(code: u8) -> &'static str {
    match code {
        UNSPECIFIED => "unspecified_error",
        0x81 => "malformed_packet",
        0x82 => "protocol_error",
        0x83 => "implementation_specific_error",
        NOT_AUTHORIZED => "not_authorized",
        0x89 => "server_busy",
        0x8B => "server_shutting_down",
        0x8C => "bad_authentication_method",
        0x8D => "keep_alive_timeout",
        0x8E => "session_taken_over",
        TOPIC_FILTER_INVALID => "topic_filter_invalid",
        0x90 => "topic_name_invalid",
        0x91 => "packet_identifier_in_use",
        RECEIVE_MAXIMUM_EXCEEDED => "receive_maximum_exceeded",
        0x94 => "topic_alias_invalid",
        0x95 => "packet_too_large",
        0x96 => "message_rate_too_high",
        QUOTA_EXCEEDED => "quota_exceeded",
        0x98 => "administrative_action",
        0x99 => "payload_format_invalid",
        RETAIN_NOT_SUPPORTED => "retain_not_supported",
        QOS_NOT_SUPPORTED => "qos_not_supported",
        0x9C => "use_another_server",
        0x9D => "server_moved",
        0x9E => "shared_subscriptions_not_supported",
        0x9F => "connection_rate_exceeded",
        0xA0 => "maximum_connect_time",
        0xA1 => "subscription_identifiers_not_supported",
        0xA2 => "wildcard_subscriptions_not_supported",
        0x00..=0x7F => "no_error",
        _ => "unknown_reason",
    }
}

/// Who is at fault according to the code of a PUBACK or PUBREC; `None` means that the publish was accepted.
pub fn of_publish(code: u8) -> Option<Fault> {
    Some(match code {
        0x00..=0x7F => return None,
        NOT_AUTHORIZED | RETAIN_NOT_SUPPORTED | QOS_NOT_SUPPORTED => Fault::Session,
        0x91 => Fault::Ours,
        0x89 | QUOTA_EXCEEDED => Fault::Later,
        _ => Fault::Value,
    })
}

/// Who is at fault according to the code of a DISCONNECT.
pub fn of_disconnect(code: u8) -> Fault {
    match code {
        0x81 | 0x90 | 0x95 | 0x99 => Fault::Value,
        NOT_AUTHORIZED | 0x8C | 0x8E | RETAIN_NOT_SUPPORTED | QOS_NOT_SUPPORTED | 0x9D => {
            Fault::Session
        }
        TOPIC_FILTER_INVALID | RECEIVE_MAXIMUM_EXCEEDED | 0x94 | 0x9E | 0xA1 | 0xA2 => Fault::Ours,
        0x00..=0x7F | 0x89 | 0x8B | 0x8D | 0x96 | QUOTA_EXCEEDED | 0x98 | 0x9C | 0x9F | 0xA0 => {
            Fault::Later
        }
        _ => Fault::Unclear,
    }
}

/// The kind of end, for a connection that the broker ended with this code.
pub fn kind_of_disconnect(code: u8) -> EndKind {
    match code {
        0x8E => EndKind::SessionTakenOver,
        NOT_AUTHORIZED | 0x8C => EndKind::NotAuthorized,
        QUOTA_EXCEEDED => EndKind::Quota,
        RETAIN_NOT_SUPPORTED | QOS_NOT_SUPPORTED | 0x9D => EndKind::Refused,
        _ => match of_disconnect(code) {
            Fault::Value | Fault::Ours => EndKind::Protocol,
            _ if code == 0x82 => EndKind::Protocol,
            _ => EndKind::Lost,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_from_0x80_on_of_a_puback_is_judged() {
        let cases = [
            (0x80, Some(Fault::Value)),
            (0x83, Some(Fault::Value)),
            (0x87, Some(Fault::Session)),
            (0x90, Some(Fault::Value)),
            (0x91, Some(Fault::Ours)),
            (0x95, Some(Fault::Value)),
            (0x97, Some(Fault::Later)),
            (0x99, Some(Fault::Value)),
            (0x9A, Some(Fault::Session)),
            (0x9B, Some(Fault::Session)),
            (0xFF, Some(Fault::Value)),
            (0x00, None),
            (0x10, None),
        ];
        for (code, fault) in cases {
            assert_eq!(of_publish(code), fault, "{code:#x}");
        }
    }

    #[test]
    fn every_code_from_0x80_on_of_a_disconnect_is_judged() {
        let cases = [
            (Fault::Value, vec![0x81, 0x90, 0x95, 0x99]),
            (Fault::Unclear, vec![0x80, 0x82, 0x83, 0xFF]),
            (Fault::Session, vec![0x87, 0x8C, 0x8E, 0x9A, 0x9B, 0x9D]),
            (Fault::Ours, vec![0x8F, 0x93, 0x94, 0x9E, 0xA1, 0xA2]),
            (
                Fault::Later,
                vec![0x89, 0x8B, 0x8D, 0x96, 0x97, 0x98, 0x9C, 0x9F, 0xA0],
            ),
        ];
        for (fault, codes) in cases {
            for code in codes {
                assert_eq!(of_disconnect(code), fault, "{code:#x}");
            }
        }
    }

    #[test]
    fn a_fault_that_passes_or_is_the_sessions_has_a_kind_of_its_own() {
        let kinds = [0x8E, 0x87, 0x97, 0x9A, 0x93, 0x95, 0x8B, 0x80].map(kind_of_disconnect);

        assert_eq!(
            kinds,
            [
                EndKind::SessionTakenOver,
                EndKind::NotAuthorized,
                EndKind::Quota,
                EndKind::Refused,
                EndKind::Protocol,
                EndKind::Protocol,
                EndKind::Lost,
                EndKind::Lost
            ]
        );
    }
}
