//! A broker that does exactly what the test says, on raw TCP.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use super::PATIENCE;

pub fn string(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

/// A packet with its remaining length.
pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut length = body.len();
    loop {
        let byte = (length % 128) as u8;
        length /= 128;
        bytes.push(if length > 0 { byte | 128 } else { byte });
        if length == 0 {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

/// The user properties of a publish that has no others.
fn user_properties(mut bytes: &[u8]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while let Some(rest) = bytes.strip_prefix(&[0x26]) {
        let (name, rest) = text(rest);
        let (value, rest) = text(rest);
        found.push((name, value));
        bytes = rest;
    }
    assert!(bytes.is_empty(), "another property: {bytes:?}");
    found
}

fn text(bytes: &[u8]) -> (String, &[u8]) {
    let length = usize::from(bytes[0]) << 8 | usize::from(bytes[1]);
    let (text, rest) = bytes[2..].split_at(length);
    (String::from_utf8(text.to_vec()).unwrap(), rest)
}

/// First byte and body of the next packet; `None` at the end of the stream.
pub fn read_packet(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut byte = [0];
    stream.read_exact(&mut byte).ok()?;
    let first = byte[0];
    let (mut length, mut shift) = (0, 0);
    loop {
        stream.read_exact(&mut byte).ok()?;
        length |= usize::from(byte[0] & 127) << shift;
        shift += 7;
        if byte[0] & 128 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((first, body))
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    pub id: u16,
    pub qos: u8,
    pub retain: bool,
    pub topic: String,
    pub payload: String,
    /// User properties.
    pub properties: Vec<(String, String)>,
}

/// One accepted connection.
pub struct Peer {
    stream: TcpStream,
    v5: bool,
}

impl Peer {
    pub fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        read_packet(&mut self.stream)
    }

    pub fn write(&mut self, bytes: &[u8]) {
        drop(self.stream.write_all(bytes));
    }

    /// Read CONNECT; its body.
    pub fn expect_connect(&mut self) -> Vec<u8> {
        let (first, body) = self.read().expect("CONNECT");
        assert_eq!(first >> 4, 1);
        self.v5 = body[6] == 5;
        body
    }

    /// Read CONNECT and accept it.
    pub fn accept(&mut self) {
        self.expect_connect();
        self.connack(0, &[]);
    }

    pub fn connack(&mut self, code: u8, properties: &[u8]) {
        let mut body = vec![0, code];
        if self.v5 {
            body.push(properties.len() as u8);
            body.extend(properties);
        }
        self.write(&packet(0x20, &body));
    }

    /// Read CONNECT and accept it, with a session that was kept or a new one.
    pub fn accept_session(&mut self, kept: bool) {
        self.expect_connect();
        let properties: &[u8] = if self.v5 { &[0] } else { &[] };
        self.write(&packet(0x20, &[&[u8::from(kept), 0], properties].concat()));
    }

    /// Read SUBSCRIBE and answer it with one code a filter; `0x80` refuses.
    pub fn suback(&mut self, codes: &[u8]) {
        let (first, body) = self.read().expect("SUBSCRIBE");
        assert_eq!(first >> 4, 8);
        let mut answer = body[..2].to_vec();
        if self.v5 {
            answer.push(0);
        }
        answer.extend(codes);
        self.write(&packet(0x90, &answer));
    }

    /// A message at `QoS 0`.
    pub fn send(&mut self, topic: &str, payload: &[u8], retain: bool) {
        let mut body = string(topic);
        if self.v5 {
            body.push(0);
        }
        body.extend(payload);
        self.write(&packet(0x30 | u8::from(retain), &body));
    }

    /// The bytes of a message that is to be acknowledged.
    pub fn delivery(&self, id: u16, qos: u8, topic: &str, payload: &[u8]) -> Vec<u8> {
        let mut body = string(topic);
        body.extend(id.to_be_bytes());
        if self.v5 {
            body.push(0);
        }
        body.extend(payload);
        packet(0x30 | qos << 1, &body)
    }

    /// The next packet: its kind, its packet id and what stands behind that.
    pub fn next(&mut self) -> Option<(u8, u16, Vec<u8>)> {
        let (first, body) = self.read()?;
        let id = body
            .first_chunk::<2>()
            .map_or(0, |id| u16::from_be_bytes(*id));
        Some((first >> 4, id, body.get(2..).unwrap_or_default().to_vec()))
    }

    /// The next PUBLISH; everything else is left out. `None` at the end of the stream.
    pub fn publish(&mut self) -> Option<Publish> {
        loop {
            let (first, body) = self.read()?;
            if first >> 4 != 3 {
                continue;
            }
            let length = usize::from(body[0]) << 8 | usize::from(body[1]);
            let topic = String::from_utf8(body[2..2 + length].to_vec()).unwrap();
            let mut rest = &body[2 + length..];
            let qos = first >> 1 & 3;
            let mut id = 0;
            if qos > 0 {
                id = u16::from_be_bytes([rest[0], rest[1]]);
                rest = &rest[2..];
            }
            let mut properties = Vec::new();
            if self.v5 {
                let end = 1 + usize::from(rest[0]);
                properties = user_properties(&rest[1..end]);
                rest = &rest[end..];
            }
            return Some(Publish {
                id,
                qos,
                retain: first & 1 == 1,
                topic,
                payload: String::from_utf8(rest.to_vec()).unwrap(),
                properties,
            });
        }
    }

    pub fn puback(&mut self, id: u16) {
        self.write(&packet(0x40, &id.to_be_bytes()));
    }

    pub fn puback_with(&mut self, id: u16, reason: u8) {
        let mut body = id.to_be_bytes().to_vec();
        body.push(reason);
        self.write(&packet(0x40, &body));
    }

    /// Acknowledge every publish, giving each to `take`, until that says stop or the stream ends.
    pub fn serve(&mut self, mut take: impl FnMut(&Publish) -> bool) {
        while let Some(publish) = self.publish() {
            if publish.qos > 0 {
                self.puback(publish.id);
            }
            if !take(&publish) {
                return;
            }
        }
    }

    /// Read and drop until the client goes.
    pub fn drain(&mut self) {
        while self.read().is_some() {}
    }
}

/// Listens; each connection is one call of the script, with its number.
pub struct Scripted {
    pub port: u16,
    pub results: Receiver<String>,
}

impl Scripted {
    /// Whatever the script returns can be waited for.
    pub fn start(mut script: impl FnMut(usize, &mut Peer) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, results) = channel();
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let stream = stream.unwrap();
                stream.set_nodelay(true).unwrap();
                let result = script(number, &mut Peer { stream, v5: false });
                if sender.send(result).is_err() {
                    return;
                }
            }
        });
        Self { port, results }
    }

    pub fn result(&self) -> String {
        self.results
            .recv_timeout(PATIENCE)
            .expect("the script's end")
    }
}
