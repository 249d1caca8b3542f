//! Passes bytes between the radio module and the node's logic. Acknowledgements are due within 75 ms, so this task does nothing slow.

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
        let mut chunk = Vec::<u8, CHUNK_BYTES>::new();
        while !chunk.is_full()
            && let Some(byte) = cx.local.radio_bytes.dequeue()
        {
            let _ = chunk.push(byte);
        }
        let (next, is_up, duty_level_us) = cx.shared.node.lock(|node| {
            if !chunk.is_empty() {
                node.feed(&chunk, now_ms);
            }
            (
                node.poll(now_ms, &mut out),
                node.is_up(),
                node.duty_level_us(now_ms),
            )
        });
        // The LED shows whether the module is set up.
        cx.local.led.set_state(is_up.into());
        board::retain(Retained {
            starts: *cx.local.starts,
            duty_level_us,
        });
        cx.shared
            .watch
            .lock(|watch| watch.seen(Watched::Radio as usize, now_ms));
        match next {
            Next::Write { bytes } => {
                for byte in out.iter().take(bytes) {
                    // The transmitter never reports an error.
                    let _ = nb::block!(cx.local.radio_tx.write(*byte));
                }
            }
            Next::Wait { .. } if cx.local.radio_bytes.ready() => {}
            Next::Wait { until_ms } => {
                cx.local.delivered.write(());
                let wait = span(until_ms.saturating_sub(now_ms).max(1));
                let _ = Mono::timeout_after(wait, cx.local.radio_wake.wait()).await;
            }
        }
    }
}
