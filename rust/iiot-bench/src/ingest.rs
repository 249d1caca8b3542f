//! A bare subscriber with the gateway's client library, which acknowledges messages every two milliseconds, and the publisher that fills its session. With
//! `--url`, a poster runs beside the subscriber. It posts lines that were rendered before, whatever the subscriber receives.

use crate::starter::{Arguments, say, wait_for_go};
use crate::{broker, flood};
use iiot_core::{FrameTime, Origin, Profile, Scan};
use rumqttc_v4::{
    AckMode, AsyncClient, Broker, Event, EventLoop, MqttOptions, Outgoing, Packet, PublishOptions,
    QoS,
};
use std::time::{Duration, Instant};

const FILTER: &str = "factory/#";
const TOPIC: &str = "factory/dosing/consumption";
const ACKNOWLEDGE_EVERY: Duration = Duration::from_millis(2);
/// The number of documents that have the same second as their own time.
const PER_SECOND: u64 = 1000;

async fn subscriber(client_id: &str, port: u16) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(client_id, Broker::tcp("127.0.0.1", port));
    options
        .set_keep_alive(30)
        .set_clean_session(false)
        .set_max_request_batch(256)
        .set_ack_mode(AckMode::Manual);
    let (client, mut events) = AsyncClient::builder(options).capacity(100_000).build();
    while !matches!(
        events.poll().await.unwrap(),
        Event::Incoming(Packet::ConnAck(_))
    ) {}
    (client, events)
}

/// A document of 250 bytes.
fn document(n: u64, start_s: u64) -> String {
    format!(
        r#"{{"device_id":"dosing_system_{:02}","timestamp":{},"n":{n},"pump":{},"chemical":"DMDEE","recipe":"CU-65/75","mode":"CATALYST","target_g":125.50,"actual_g":125.{:02},"error_g":-0.03,"duration_ms":{},"firmware":"1.4.2","rssi":-61,"heap":187332}}"#,
        n % 20,
        start_s + n / PER_SECOND,
        n % 4 + 1,
        n % 100,
        45_000 + n % 97,
    )
}

/// The lines of such documents, each with its own time, in request bodies of the gateway's size.
fn bodies(count: u64, start_s: u64, profile: &str) -> Vec<Vec<u8>> {
    let profile = Profile::parse(profile).unwrap();
    let origin = Origin::new(&profile, "", &[]).unwrap();
    let mut scan = Scan::new();
    let numbers: Vec<u64> = (0..count).collect();
    let chunks = numbers.chunks(flood::BATCH_LINES);
    let body = |numbers: &[u64]| {
        let mut lines = Vec::new();
        for &n in numbers {
            let document = document(n, start_s);
            let decoded = profile
                .decode(Some(TOPIC.as_bytes()), document.as_bytes(), &mut scan)
                .unwrap();
            // The time moves on within the second of the document, so that no two points have the same time.
            let time_ns = (start_s * 1_000 + n) as i64 * 1_000_000;
            let mut line = Vec::new();
            decoded.write_lines(&origin, FrameTime::at(time_ns), &mut line);
            let words = line.iter().rposition(|byte| *byte == b' ').unwrap();
            lines.extend_from_slice(&line[..=words]);
            lines.extend_from_slice(format!("{time_ns}\n").as_bytes());
        }
        lines
    };
    chunks.map(body).collect()
}

/// Create a session in which messages wait.
pub fn prepare(arguments: &Arguments) {
    broker::runtime().block_on(async {
        let id = arguments.text("client");
        let (client, mut events) = subscriber(id, arguments.number("mqtt")).await;
        client.subscribe(FILTER, QoS::AtLeastOnce).await.unwrap();
        while !matches!(
            events.poll().await.unwrap(),
            Event::Incoming(Packet::SubAck(_))
        ) {}
        client.disconnect().await.unwrap();
        while !matches!(
            events.poll().await,
            Err(_) | Ok(Event::Outgoing(Outgoing::Disconnect))
        ) {}
    });
    say("ready");
}

/// Publish documents of 250 bytes: `rate` per second if it is given, or else as fast as the broker accepts them.
pub fn fill(arguments: &Arguments) {
    let count: u64 = arguments.number("count");
    let start: u64 = arguments.number("start");
    let rate: Option<f64> = arguments.get("rate").map(|rate| rate.parse().unwrap());
    broker::runtime().block_on(async {
        let (client, mut events) = broker::publisher("filler", arguments.number("mqtt")).await;
        tokio::spawn(async move {
            let began = Instant::now();
            for n in 0..count {
                if let Some(rate) = rate {
                    let due = began + Duration::from_secs_f64(n as f64 / rate);
                    tokio::time::sleep_until(due.into()).await;
                }
                let document = document(n, start);
                let options = PublishOptions::new(QoS::AtLeastOnce);
                client.publish(TOPIC, document, options).await.unwrap();
            }
            std::future::pending::<()>().await;
        });
        let mut acknowledged = 0;
        while acknowledged < count {
            if let Event::Incoming(Packet::PubAck(_)) = events.poll().await.unwrap() {
                acknowledged += 1;
            }
        }
    });
    say("ready");
}

/// Receive all messages that wait in a session. Prints how long this took, and when the poster ended.
pub fn take(arguments: &Arguments) {
    let until: usize = arguments.number("until");
    let posting = arguments.get("url").map(|url| {
        let profile = std::fs::read_to_string(arguments.text("profile")).unwrap();
        let bodies = bodies(until as u64, arguments.number("start"), &profile);
        (flood::poster(url), bodies)
    });
    wait_for_go();
    let posting = posting.map(|(poster, bodies)| {
        std::thread::spawn(move || {
            for body in bodies {
                let answer = poster.post(&body);
                assert_eq!(answer.status, 204, "{}", answer.detail);
            }
            Instant::now()
        })
    });
    let (began, took) = broker::runtime().block_on(async {
        let id = arguments.text("client");
        let (client, mut events) = subscriber(id, arguments.number("mqtt")).await;
        let mut began = None;
        let mut waiting = Vec::new();
        let mut taken = 0;
        let mut due = Instant::now() + ACKNOWLEDGE_EVERY;
        while taken < until {
            let event = tokio::time::timeout_at(due.into(), events.poll()).await;
            if let Ok(event) = event
                && let Event::Incoming(Packet::Publish(publish)) = event.unwrap()
            {
                began.get_or_insert_with(Instant::now);
                waiting.push(publish);
            }
            if Instant::now() >= due || taken + waiting.len() >= until {
                taken += waiting.len();
                for publish in waiting.drain(..) {
                    client.try_ack(&publish).unwrap();
                }
                due = Instant::now() + ACKNOWLEDGE_EVERY;
            }
        }
        let began = began.unwrap();
        (began, began.elapsed())
    });
    let both = posting.map_or(took, |posting| {
        took.max(posting.join().unwrap().saturating_duration_since(began))
    });
    say(&format!(
        "took {} {}",
        took.as_secs_f64(),
        both.as_secs_f64()
    ));
}
