//! Against the bare client library in the same run: nine retained `QoS 1` publishes a frame to a real Mosquitto.
//! The figures mean something in release only: `cargo test --release -p iiot-mqtt --test all throughput -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use crate::support::broker::{Mosquitto, skip};
use crate::support::{Memory, Running, config, nine, sink};
use rumqttc_v4::{AsyncClient, Broker, Event, MqttOptions, Packet, PublishOptions, QoS};

const FRAMES: u64 = 30_000;

/// The fastest use of the client that still waits for every acknowledgement.
fn bare(port: u16, frames: u64) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut options = MqttOptions::new("bare", Broker::tcp("127.0.0.1", port));
        options.set_inflight(1000).set_max_request_batch(256);
        let (client, mut events) = AsyncClient::builder(options).capacity(1000).build();
        let topics: Vec<String> = (0..9).map(|k| format!("lora/node{k}/t")).collect();
        let began = Instant::now();
        tokio::spawn(async move {
            for n in 0..frames {
                for topic in &topics {
                    let options = PublishOptions::new(QoS::AtLeastOnce).retained();
                    client
                        .publish(topic.as_str(), n.to_string(), options)
                        .await
                        .unwrap();
                }
            }
            // Dropping the client would end the event loop before its last acknowledgements.
            std::future::pending::<()>().await;
        });
        let mut acknowledged = 0;
        while acknowledged < 9 * frames {
            if let Event::Incoming(Packet::PubAck(_)) = events.poll().await.unwrap() {
                acknowledged += 1;
            }
        }
        began.elapsed()
    })
}

fn through_the_sink(port: u16, frames: u64) -> Duration {
    let memory = Memory::new(20_000);
    memory.commit(nine(0, frames));
    let began = Instant::now();
    let running = Running::start(&sink(config(port)), &memory);
    memory.wait_confirmed(frames);
    let took = began.elapsed();
    running.stop();
    took
}

#[test]
#[ignore = "a measurement, for a quiet machine"]
fn the_sink_keeps_up_with_the_bare_client() {
    if skip() {
        return;
    }
    let mut ratios = Vec::new();
    for round in 0..5 {
        let broker = Mosquitto::start();
        let (bare, sink) = if round % 2 == 0 {
            let bare = bare(broker.port, FRAMES);
            (bare, through_the_sink(broker.port, FRAMES))
        } else {
            let sink = through_the_sink(broker.port, FRAMES);
            (bare(broker.port, FRAMES), sink)
        };
        let rate = |took: Duration| 9.0 * FRAMES as f64 / took.as_secs_f64();
        ratios.push(rate(sink) / rate(bare));
        println!(
            "bare {:.0}/s, sink {:.0}/s, ratio {:.2}",
            rate(bare),
            rate(sink),
            rate(sink) / rate(bare)
        );
    }
    ratios.sort_by(f64::total_cmp);
    assert!(ratios[2] > 0.8, "median ratio {:.2}", ratios[2]);
}
