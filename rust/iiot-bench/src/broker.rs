//! The two clients of the broker. The publisher uses the gateway's MQTT library with the gateway's settings; the subscriber is a bare socket.

use rumqttc_v4::{AsyncClient, Broker, Event, EventLoop, MqttOptions, Packet};
use std::io::{Read, Write};
use std::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

/// The default of `[mqtt] inflight`.
const IN_FLIGHT: u16 = 1000;
/// The value in `iiot-mqtt`.
const REQUEST_BATCH: usize = 256;

/// An event loop of one thread.
pub fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Connect a client with the settings of the gateway.
pub async fn publisher(name: &str, port: u16) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(name, Broker::tcp("127.0.0.1", port));
    options
        .set_keep_alive(30)
        .set_clean_session(true)
        .set_inflight(IN_FLIGHT)
        .set_max_request_batch(REQUEST_BATCH);
    options.set_socket_connector(move |_, _| async move {
        let tcp = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
        tcp.set_nodelay(true)?;
        Ok(tcp)
    });
    let (client, mut events) = AsyncClient::builder(options)
        .capacity(usize::from(IN_FLIGHT))
        .build();
    while !matches!(
        events.poll().await.unwrap(),
        Event::Incoming(Packet::ConnAck(_))
    ) {}
    (client, events)
}

/// Connect a client whose event loop runs in a thread of its own.
pub fn in_background(name: &str, port: u16) -> AsyncClient {
    let name = name.to_owned();
    let (sender, connected) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        runtime().block_on(async {
            let (client, mut events) = publisher(&name, port).await;
            sender.send(client).unwrap();
            while events.poll().await.is_ok() {}
        });
    });
    connected.recv().unwrap()
}

/// A received PUBLISH.
pub struct Received<'a> {
    pub topic: &'a [u8],
    pub payload: &'a [u8],
    pub retain: bool,
}

/// Subscribes at `QoS` 1 and acknowledges every message, with one write per read.
pub struct Subscriber {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    replies: Vec<u8>,
}

fn string(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

impl Subscriber {
    /// Connect and subscribe. When this returns, the connection exists; the SUBACK comes before the first message.
    pub fn connect(port: u16, filters: &[&str]) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut connect = string("MQTT");
        connect.extend([4, 2, 0, 0]);
        connect.extend(string("subscriber"));
        let mut subscribe = vec![0, 1];
        for filter in filters {
            subscribe.extend(string(filter));
            subscribe.push(1);
        }
        let mut out = vec![0x10, connect.len() as u8];
        out.extend(connect);
        out.extend([0x82, subscribe.len() as u8]);
        out.extend(subscribe);
        stream.write_all(&out).unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [0x20, 2, 0, 0], "the broker refused");
        let mut suback = vec![0; 4 + filters.len()];
        stream.read_exact(&mut suback).unwrap();
        assert_eq!(suback.first(), Some(&0x90), "no SUBACK");
        Self {
            stream,
            buffer: vec![0; 262_144],
            filled: 0,
            replies: Vec::new(),
        }
    }

    /// Wait for bytes, and pass on every whole PUBLISH in them. Returns false at the end of the stream.
    pub fn read(&mut self, mut visit: impl FnMut(&Received<'_>)) -> bool {
        let got = self
            .stream
            .read(&mut self.buffer[self.filled..])
            .unwrap_or(0);
        if got == 0 {
            return false;
        }
        self.filled += got;
        let (mut at, replies) = (0, &mut self.replies);
        while let Some((first, body)) = packet(&self.buffer[at..self.filled]) {
            let bytes = &self.buffer[at + body.start..at + body.end];
            at += body.end;
            if first >> 4 != 3 {
                continue;
            }
            let length = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
            let (topic, mut rest) = bytes[2..].split_at(length);
            if first & 6 != 0 {
                replies.extend([0x40, 2, rest[0], rest[1]]);
                rest = &rest[2..];
            }
            visit(&Received {
                topic,
                payload: rest,
                retain: first & 1 == 1,
            });
        }
        self.buffer.copy_within(at..self.filled, 0);
        self.filled -= at;
        let sent = self.stream.write_all(&self.replies).is_ok();
        self.replies.clear();
        sent
    }
}

/// The first byte and the body of the packet at the beginning, if the packet is complete.
fn packet(bytes: &[u8]) -> Option<(u8, std::ops::Range<usize>)> {
    let first = *bytes.first()?;
    let (mut length, mut at) = (0, 1);
    loop {
        let byte = *bytes.get(at)?;
        length |= usize::from(byte & 127) << (7 * (at - 1));
        at += 1;
        if byte & 128 == 0 {
            break;
        }
    }
    (at + length <= bytes.len()).then_some((first, at..at + length))
}
