//! Passes bytes between the radio module and the node's logic.

use heapless::Vec;
use iiot_proto::rylr998::MAX_COMMAND_BYTES;
use logic::Next;
use logic::retained::Retained;
use rtic::Mutex;
use rtic_monotonics::systick::prelude::*;
use stm32f4xx_hal::prelude::*;

use crate::app::radio::Context;
use crate::{Mono, Watched, now_ms, span};

/// The largest number of bytes that are processed at once.
const CHUNK_BYTES: usize = 64;

/// Run the task for ever.
pub async fn run(mut cx: Context<'_>) {
    let mut out = [0; MAX_COMMAND_BYTES];
    loop {
        let now_ms = now_ms();
        let dice = &mut *cx.local.dice;
        let mut chunk = Vec::<u8, CHUNK_BYTES>::new();
        while !chunk.is_full()
            && let Some(byte) = cx.local.bytes.dequeue()
        {
            let _ = chunk.push(byte);
        }
        let (next, led, reboots, duty_level_us) = cx.shared.node.lock(|node| {
            if !chunk.is_empty() {
                node.feed(&chunk, now_ms, dice);
            }
            (
                node.poll(now_ms, dice, &mut out),
                node.led(),
                node.is_reboot_due(now_ms),
                node.duty_level_us(now_ms),
            )
        });
        cx.local.led.set_state(led.into());
        board::retain(Retained {
            starts: *cx.local.starts,
            duty_level_us,
        });
        cx.shared
            .watch
            .lock(|watch| watch.seen(Watched::Radio as usize, now_ms));
        if reboots {
            defmt::info!("starting anew, as commanded");
            board::reboot();
        }
        match next {
            Next::Write { bytes } => {
                for byte in out.iter().take(bytes) {
                    // The transmitter never reports an error.
                    let _ = nb::block!(cx.local.tx.write(*byte));
                }
            }
            Next::Wait { .. } if cx.local.bytes.ready() => {}
            Next::Wait { until_ms } => {
                let wait = span(until_ms.saturating_sub(now_ms).max(1));
                let _ = Mono::timeout_after(wait, cx.local.wake.wait()).await;
            }
        }
    }
}
