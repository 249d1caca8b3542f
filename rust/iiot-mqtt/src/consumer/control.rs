//! The packets around messages: CONNECT, SUBSCRIBE and UNSUBSCRIBE out, their answers in. Answers may have properties and codes that were not requested.

use bytes::{BufMut, BytesMut};
use rumqttc_v4::mqttbytes::v4;
use rumqttc_v5::mqttbytes::v5;

use crate::checked::Checked;
use crate::consumer::{ConsumerConfig, Subscription};
use crate::ended::EndKind;
use crate::failure::Failure;
use crate::mark::{Mark, MarkReader};
use crate::reasons;

pub(super) const CONNACK: u8 = 2;
pub(super) const PUBREL: u8 = 6;
pub(super) const SUBACK: u8 = 9;
pub(super) const UNSUBACK: u8 = 11;
pub(super) const PINGRESP: u8 = 13;
pub(super) const DISCONNECT: u8 = 14;

/// The receive maximum for a broker that counts messages of earlier connections against it: most of the packet ids there are.
const MOST_COUNTED: u16 = 60_000;
const SESSION_EXPIRY_INTERVAL: u8 = 0x11;
const SERVER_KEEP_ALIVE: u8 = 0x13;
const USER_PROPERTY: u8 = 0x26;

/// The peer does not keep to the protocol.
pub(super) fn malformed(what: &str) -> Failure {
    Failure::new(
        EndKind::Protocol,
        format!("the broker sent what MQTT does not allow: {what}"),
    )
}

/// Reads the pieces of a packet from the front.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// A number of two bytes.
    pub(super) fn number(&mut self) -> Option<u16> {
        let bytes = self.take(2)?.first_chunk::<2>()?;
        Some(u16::from_be_bytes(*bytes))
    }

    /// A text, or binary data, with its length before it.
    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::from(length))
    }

    /// A length of one to four bytes.
    pub(super) fn length(&mut self) -> Option<usize> {
        let mut value = 0;
        for place in 0..4 {
            let byte = *self.0.get(place)?;
            value |= usize::from(byte & 127) << (7 * place);
            if byte & 128 == 0 {
                self.take(place + 1)?;
                return Some(value);
            }
        }
        None
    }

    /// The properties of a packet of MQTT 5.
    pub(super) fn properties(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }
}

/// CONNECT, for a session that is kept as long as the settings say. A clean one deletes an earlier session.
pub(super) fn connect(
    checked: &Checked,
    consumer: &ConsumerConfig,
    v5: bool,
    is_clean: bool,
) -> Result<BytesMut, Failure> {
    let mut out = BytesMut::new();
    let client_id = checked.config.client_id.clone();
    let keep_alive = checked.keep_alive_s;
    let unwritable = |error: String| Failure::new(EndKind::Protocol, error);
    if v5 {
        let properties = v5::ConnectProperties {
            session_expiry_interval: Some(
                u32::try_from(consumer.session_expiry.as_secs()).unwrap_or(u32::MAX),
            ),
            receive_maximum: if consumer.is_counted_for_ever {
                Some(MOST_COUNTED)
            } else {
                Some(consumer.receive_maximum).filter(|most| *most < u16::MAX)
            },
            ..v5::ConnectProperties::new()
        };
        let packet = v5::Connect {
            keep_alive,
            client_id,
            clean_start: is_clean,
            properties: Some(properties),
        };
        let auth = match &checked.credentials {
            Some((username, Some(password))) => v5::ConnectAuth::UsernamePassword {
                username: username.clone(),
                password: password.clone().into_bytes().into(),
            },
            Some((username, None)) => v5::ConnectAuth::Username {
                username: username.clone(),
            },
            None => v5::ConnectAuth::None,
        };
        packet
            .write(&None, &auth, &mut out)
            .map_err(|error| unwritable(error.to_string()))?;
    } else {
        let mut packet = v4::Connect::new(client_id);
        packet.keep_alive = keep_alive;
        packet.clean_session = is_clean;
        match &checked.credentials {
            Some((username, Some(password))) => {
                packet.set_credentials(username.clone(), password.clone().into_bytes());
            }
            Some((username, None)) => {
                packet.set_username(username.clone());
            }
            None => {}
        }
        packet
            .write(&mut out)
            .map_err(|error| unwritable(error.to_string()))?;
    }
    Ok(out)
}

/// The contents of a CONNACK.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Connected {
    /// The broker has kept the session.
    pub session: bool,
    /// The broker's own keep-alive, which replaces ours.
    pub keep_alive_s: Option<u16>,
    /// For how long the broker keeps the session, if not for as long as it was asked to.
    pub session_expiry_s: Option<u32>,
}

/// Read a CONNACK; a refusal is a failure.
pub(super) fn connack(body: &[u8], v5: bool) -> Result<Connected, Failure> {
    let mut reader = Reader::new(body);
    let wrong = || malformed("a CONNACK is cut short");
    let flags = reader.byte().ok_or_else(wrong)?;
    let code = reader.byte().ok_or_else(wrong)?;
    if code != 0 {
        return Err(if v5 {
            let text = Reader::new(reader.properties().unwrap_or_default()).reason();
            refused_v5(code, text.as_deref())
        } else {
            refused_v4(code)
        });
    }
    let properties = if v5 {
        reader.properties().unwrap_or_default()
    } else {
        &[]
    };
    Ok(Connected {
        session: flags & 1 != 0,
        keep_alive_s: Reader::new(properties)
            .number_property(SERVER_KEEP_ALIVE)
            .map(u16::from_be_bytes),
        session_expiry_s: Reader::new(properties)
            .number_property(SESSION_EXPIRY_INTERVAL)
            .map(u32::from_be_bytes),
    })
}

fn refused_v4(code: u8) -> Failure {
    let (kind, words) = match code {
        1 => (EndKind::Protocol, "it does not speak MQTT 3.1.1"),
        2 => (EndKind::Refused, "it does not accept the client id"),
        3 => (EndKind::Refused, "server unavailable"),
        4 => (EndKind::NotAuthorized, "user name or password is wrong"),
        5 => (EndKind::NotAuthorized, "not authorised"),
        _ => (EndKind::Refused, "a reason that MQTT 3.1.1 does not know"),
    };
    Failure::new(kind, format!("the broker refused the connection: {words}"))
}

fn refused_v5(code: u8, text: Option<&str>) -> Failure {
    let kind = match code {
        0x86 | 0x87 | 0x8a | 0x8c => EndKind::NotAuthorized,
        0x97 => EndKind::Quota,
        0x81 | 0x82 | 0x84 => EndKind::Protocol,
        _ => EndKind::Refused,
    };
    let words = reasons::word(code);
    let text = text.map_or_else(String::new, |text| format!(": {text}"));
    Failure::new(
        kind,
        format!("the broker refused the connection: {words} ({code:#04x}){text}"),
    )
}

impl<'a> Reader<'a> {
    /// Go through properties; `found` is called with the number of each, its name if it has one, and its value.
    fn each_property(&mut self, mut found: impl FnMut(u8, &'a [u8], &'a [u8])) -> Option<()> {
        while let Some(property) = self.byte() {
            let mut name: &[u8] = &[];
            let value = match property {
                0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28..=0x2A => self.take(1)?,
                0x13 | 0x21..=0x23 => self.take(2)?,
                0x02 | 0x11 | 0x18 | 0x27 => self.take(4)?,
                0x0B => {
                    self.length()?;
                    &[]
                }
                USER_PROPERTY => {
                    name = self.text()?;
                    self.text()?
                }
                _ => self.text()?,
            };
            found(property, name, value);
        }
        Some(())
    }

    /// The mark in the properties of a message that a gateway published.
    pub(super) fn mark(&mut self) -> Option<Mark<'a>> {
        let mut reader = MarkReader::default();
        self.each_property(|property, name, value| {
            if property == USER_PROPERTY {
                reader.take(name, value);
            }
        });
        reader.mark()
    }

    /// The bytes of a property that is a number.
    fn number_property<const N: usize>(&mut self, wanted: u8) -> Option<[u8; N]> {
        let mut number = None;
        self.each_property(|property, _, value| {
            if property == wanted {
                number = value.first_chunk().copied();
            }
        });
        number
    }

    fn reason(&mut self) -> Option<String> {
        let mut reason = None;
        self.each_property(|property, _, value| {
            if property == 0x1F {
                reason = Some(String::from_utf8_lossy(value).into_owned());
            }
        });
        reason
    }
}

/// Append a SUBSCRIBE.
pub(super) fn subscribe(id: u16, subscriptions: &[Subscription], v5: bool, out: &mut BytesMut) {
    let mut body = BytesMut::new();
    body.put_u16(id);
    if v5 {
        body.put_u8(0);
    }
    for Subscription { filter, qos } in subscriptions {
        put_text(filter, &mut body);
        // The other options of MQTT 5 stay 0, so that a live message never has the flag of a retained one.
        body.put_u8(*qos);
    }
    put_packet(0x82, &body, out);
}

/// Append an UNSUBSCRIBE.
pub(super) fn unsubscribe(id: u16, filters: &[String], v5: bool, out: &mut BytesMut) {
    let mut body = BytesMut::new();
    body.put_u16(id);
    if v5 {
        body.put_u8(0);
    }
    for filter in filters {
        put_text(filter, &mut body);
    }
    put_packet(0xa2, &body, out);
}

/// Append a PINGREQ.
pub(super) fn ping(out: &mut BytesMut) {
    out.put_slice(&[0xc0, 0]);
}

/// Append a DISCONNECT that keeps the session.
pub(super) fn disconnect(out: &mut BytesMut) {
    out.put_slice(&[0xe0, 0]);
}

/// Append a DISCONNECT that ends the session: with an expiry of 0, if the version of MQTT has it.
pub(super) fn end_session(v5: bool, out: &mut BytesMut) {
    if v5 {
        out.put_slice(&[0xe0, 7, 0, 5, 0x11, 0, 0, 0, 0]);
    } else {
        disconnect(out);
    }
}

/// Append a PUBACK (4), PUBREC (5) or PUBCOMP (7).
pub(super) fn acknowledge(kind: u8, id: u16, out: &mut BytesMut) {
    out.put_slice(&[kind << 4, 2]);
    out.put_u16(id);
}

fn put_text(text: &str, out: &mut BytesMut) {
    // Longer ones were refused with the settings.
    out.put_u16(u16::try_from(text.len()).unwrap_or(u16::MAX));
    out.put_slice(text.as_bytes());
}

fn put_packet(first: u8, body: &[u8], out: &mut BytesMut) {
    out.put_u8(first);
    let mut length = body.len();
    loop {
        let byte = (length % 128) as u8;
        length /= 128;
        out.put_u8(if length > 0 { byte | 128 } else { byte });
        if length == 0 {
            break;
        }
    }
    out.put_slice(body);
}

/// The packet id and the codes of a SUBACK.
pub(super) fn suback(body: &[u8], v5: bool) -> Option<(u16, &[u8])> {
    let mut reader = Reader::new(body);
    let id = reader.number()?;
    if v5 {
        reader.properties()?;
    }
    Some((id, reader.rest()))
}

/// Why a filter was refused; none if it was granted.
pub(super) fn refusal(code: u8, v5: bool) -> Option<String> {
    match code {
        0..=2 => None,
        _ if v5 => Some(format!("{} ({code:#04x})", reasons::word(code))),
        _ => Some(
            "MQTT 3.1.1 tells no reason; look for the rights of the user at the broker".to_owned(),
        ),
    }
}

/// The failure that a DISCONNECT reports.
pub(super) fn disconnected(body: &[u8]) -> Failure {
    let mut reader = Reader::new(body);
    let code = reader.byte().unwrap_or(0);
    let text = Reader::new(reader.properties().unwrap_or_default()).reason();
    Failure::disconnected(code, text.as_deref())
}

/// The packet id at the front of an acknowledgement.
pub(super) fn packet_id(body: &[u8]) -> Option<u16> {
    Reader::new(body).number()
}
