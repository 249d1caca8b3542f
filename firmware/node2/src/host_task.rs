//! Prints documents for the gateway process, on RTT and on the virtual COM port, and reads its commands from the virtual COM port.

use iiot_proto::link::Fate;
use iiot_proto::packet::Payload;
use logic::GatewayNode;
use logic::document::{Own, document};
use logic::order::{Line, OrderReader, answer_line, over_line, refused_line};
use rtic::Mutex;
use rtic_monotonics::systick::prelude::*;
use rtt_target::UpChannel;
use stm32f4xx_hal::pac::USART2;
use stm32f4xx_hal::prelude::*;
use stm32f4xx_hal::serial::Tx;

use crate::app::host::Context;
use crate::{Mono, Watched, now_ms, span};

/// The longest time between two signs of life to the watchdog.
const STEP_MS: u64 = 1_000;

/// Run the task for ever.
pub async fn run(mut cx: Context<'_>) {
    let mut orders = OrderReader::new();
    loop {
        let now_ms = now_ms();
        cx.shared
            .watch
            .lock(|watch| watch.seen(Watched::Host as usize, now_ms));
        while let Some(byte) = cx.local.host_bytes.dequeue() {
            let Some(order) = orders.push(byte) else {
                continue;
            };
            let line = match order {
                Ok(order) => {
                    let until_ms = now_ms + u64::from(order.valid_s) * 1_000;
                    let (node, command) = (order.node, order.command);
                    let taken = cx
                        .shared
                        .node
                        .lock(|gateway| gateway.order(node, command, until_ms));
                    cx.local.ordered.write(());
                    taken
                        .err()
                        .map(|_| over_line(node, command.counter, "full"))
                }
                Err(fault) => Some(refused_line(fault)),
            };
            if let Some(line) = line {
                print(cx.local.terminal, cx.local.host_tx, &line);
            }
        }
        while let Some(delivery) = cx.shared.node.lock(GatewayNode::take_delivery) {
            if let Payload::Answer(answer) = delivery.packet.payload {
                let line = answer_line(delivery.packet.header.src, &answer);
                print(cx.local.terminal, cx.local.host_tx, &line);
            }
            let counters = cx.shared.node.lock(|node| node.counters());
            let own = Own {
                uptime_ms: now_ms as u32,
                climate: cx.shared.climate.lock(|climate| *climate),
                delivered: counters.delivered,
                damaged: counters.damaged,
            };
            if let Some(document) = document(&delivery, &own) {
                print(cx.local.terminal, cx.local.host_tx, &document);
            }
        }
        while let Some(finished) = cx.shared.node.lock(GatewayNode::take_finished) {
            let why = match finished.fate {
                // The answer was printed when it arrived.
                Fate::Answered(_) => continue,
                Fate::Expired => "expired",
                Fate::Unanswered => "unanswered",
            };
            let line: Line = over_line(finished.node, finished.counter, why);
            print(cx.local.terminal, cx.local.host_tx, &line);
        }
        if !cx.local.host_bytes.ready() {
            let _ = Mono::timeout_after(span(STEP_MS), cx.local.host_wake.wait()).await;
        }
    }
}

/// Write a whole line to RTT at once, so that no reader sees only a part of it, and then to the port byte by byte.
fn print(terminal: &mut UpChannel, port: &mut Tx<USART2>, line: &str) {
    terminal.write(line.as_bytes());
    for byte in line.bytes() {
        // The transmitter never reports an error.
        let _ = nb::block!(port.write(byte));
    }
}
