//! A side connection under test, and what it is given.

use std::sync::Arc;
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use iiot_mqtt::{Config, Ended, Message, Protocol, Publish, SideConnection};

use super::PATIENCE;

pub fn side(port: u16, protocol: Protocol, client_id: &str) -> Arc<SideConnection> {
    side_with(port, |config| {
        config.protocol = protocol;
        client_id.clone_into(&mut config.client_id);
    })
}

pub fn side_with(port: u16, change: impl FnOnce(&mut Config)) -> Arc<SideConnection> {
    let mut config = Config::new(format!("mqtt://127.0.0.1:{port}"), "side");
    change(&mut config);
    let filters = vec!["home/+/config".to_owned(), "home/status".to_owned()];
    Arc::new(SideConnection::new(config, filters).unwrap())
}

pub fn run(side: &Arc<SideConnection>) -> JoinHandle<Ended> {
    let side = Arc::clone(side);
    spawn(move || side.run_connection())
}

/// The number of the connection, once it stands.
pub fn until_it_stands(side: &SideConnection) -> u64 {
    let connection = side.receive(0, PATIENCE).connection;
    assert_ne!(connection, 0, "it does not stand");
    connection
}

/// Receive until so many messages have come over this connection.
pub fn receive(side: &SideConnection, connection: u64, count: usize) -> Vec<Message> {
    let by = Instant::now() + PATIENCE;
    let mut messages = Vec::new();
    while messages.len() < count {
        assert!(Instant::now() < by, "only {messages:?} came");
        let received = side.receive(connection, Duration::from_millis(500));
        assert_eq!(received.connection, connection, "another connection");
        messages.extend(received.messages);
    }
    messages
}

/// A retained publish that goes out over this connection only.
pub fn bound(topic: &str, payload: &str, connection: u64) -> Publish {
    Publish {
        only_over: Some(connection),
        ..kept(topic, payload, true)
    }
}

pub fn kept(topic: &str, payload: &str, retain: bool) -> Publish {
    Publish {
        topic: topic.to_owned(),
        payload: payload.to_owned().into(),
        retain,
        only_over: None,
    }
}
