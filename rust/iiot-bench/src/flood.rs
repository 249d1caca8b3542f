//! A bare publisher and a bare poster at full speed, side by side, each in its own thread. Both wait for every acknowledgement.

use crate::broker;
use crate::render::Rendered;
use crate::starter::{Arguments, say, wait_for_go};
use iiot_http::{Config, Poster};
use rumqttc_v4::{AsyncClient, Event, EventLoop, Packet, PublishOptions, QoS};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The default of `[influxdb] batch_lines`.
pub const BATCH_LINES: usize = 5000;

pub fn run(arguments: &Arguments) {
    let log = std::fs::read(arguments.text("log")).unwrap();
    let profile = std::fs::read_to_string(arguments.text("profile")).unwrap();
    let port: Option<u16> = arguments.get("mqtt").map(|_| arguments.number("mqtt"));
    let rendered = Arc::new(Rendered::of(&log, &profile, "iiot", port.is_some()));
    drop(log);
    let poster = arguments.get("url").map(poster);
    let runtime = broker::runtime();
    let connected = port.map(|port| runtime.block_on(broker::publisher("bare", port)));
    wait_for_go();
    let posting = poster.map(|poster| {
        let rendered = Arc::clone(&rendered);
        std::thread::spawn(move || post(&poster, &rendered))
    });
    if let Some((client, mut events)) = connected {
        let took = runtime.block_on(publish(client, &mut events, &rendered));
        say(&format!("published {}", took.as_secs_f64()));
    }
    if let Some(posting) = posting {
        say(&format!("posted {}", posting.join().unwrap().as_secs_f64()));
    }
    say("done");
}

/// Connect with the gateway's settings.
pub fn poster(url: &str) -> Poster {
    let poster = Poster::new(Config {
        url: url.to_owned(),
        headers: vec![("Authorization".to_owned(), "Token bench".to_owned())],
        timeout: Duration::from_secs(30),
        gzip: true,
        max_body_bytes: iiot_http::EXPLANATION_BYTES,
        ca_file: None,
    })
    .unwrap();
    let (base, _) = url.split_once("/api/").unwrap();
    assert!(poster.get(&format!("{base}/ping")).status < 300);
    poster
}

fn post(poster: &Poster, rendered: &Rendered) -> Duration {
    let bodies = rendered.bodies(BATCH_LINES);
    let began = Instant::now();
    for body in bodies {
        let answer = poster.post(&rendered.lines[body]);
        assert_eq!(answer.status, 204, "{}", answer.detail);
    }
    began.elapsed()
}

/// Publish as fast as the client can while it waits for every acknowledgement.
async fn publish(
    client: AsyncClient,
    events: &mut EventLoop,
    rendered: &Arc<Rendered>,
) -> Duration {
    let began = Instant::now();
    let source = Arc::clone(rendered);
    tokio::spawn(async move {
        for message in &source.messages {
            let options = PublishOptions::new(QoS::AtLeastOnce).retain(message.retain);
            let topic = source.topics[usize::from(message.topic)].as_str();
            client
                .publish(topic, message.payload.clone(), options)
                .await
                .unwrap();
        }
        // Dropping the client would end the event loop before its last acknowledgements.
        std::future::pending::<()>().await;
    });
    let mut acknowledged = 0;
    while acknowledged < rendered.messages.len() {
        if let Event::Incoming(Packet::PubAck(_)) = events.poll().await.unwrap() {
            acknowledged += 1;
        }
    }
    began.elapsed()
}
