//! Measures the climate at node 2, and shows the link and the values.

use core::cell::RefCell;
use core::fmt::Write;

use drivers::screen::{COLUMNS, Screen};
use drivers::sht3x;
use embedded_hal::delay::DelayNs;
use embedded_hal_bus::i2c::RefCellDevice;
use heapless::String;
use iiot_proto::packet::Payload;
use logic::GatewayNode;
use logic::assess::{Climate, Fault, believed};
use logic::document::Hundredths;
use rtic::Mutex;
use rtic_monotonics::systick::prelude::*;

use crate::app::sense::Context;
use crate::{Mono, Watched, now_ms, span};

/// The time between two measurements, and between two signs of life to the watchdog.
const STEP_MS: u64 = 2_000;

/// Waits by the system's clock, and sleeps in the meantime.
struct Asleep;

impl DelayNs for Asleep {
    fn delay_ns(&mut self, ns: u32) {
        let until = Mono::now() + span(u64::from(ns.div_ceil(1_000_000)));
        // The loop waits one more tick, because the first one may be about to end.
        while Mono::now() <= until {
            cortex_m::asm::wfi();
        }
    }
}

/// Run the task for ever.
pub async fn run(mut cx: Context<'_>) {
    let bus = RefCell::new(cx.local.bus);
    let mut device = RefCellDevice::new(&bus);
    let mut screen = Screen::new(RefCellDevice::new(&bus));
    loop {
        let now_ms = now_ms();
        cx.shared
            .watch
            .lock(|watch| watch.seen(Watched::Sense as usize, now_ms));
        let measured = match sht3x::measure(&mut device, &mut Asleep) {
            Ok(measured) => believed(Ok(Climate {
                temperature_centidegrees: measured.temperature_centidegrees,
                humidity_centipercent: measured.humidity_centipercent,
            })),
            Err(sht3x::Error::Bus(_)) => Err(Fault::Silent),
            Err(sht3x::Error::Checksum { .. }) => Err(Fault::Damaged),
        };
        cx.shared.climate.lock(|climate| *climate = Some(measured));
        let lines = cx.shared.node.lock(|node| picture(node, measured));
        // A display that does not answer is set up again the next time. Nothing else depends on the display.
        let _ = screen.show(&lines);
        Mono::delay(span(STEP_MS)).await;
    }
}

type Line = String<COLUMNS>;

/// The lines on the display.
fn picture(node: &GatewayNode, own: Result<Climate, Fault>) -> [Line; 7] {
    let mut lines = [const { Line::new() }; 7];
    let [link, signal, counts, remote, here, radio, channel] = &mut lines;
    let counters = node.counters();
    // A line that is too long for the display is cut off.
    let _ = match node.last() {
        Some(last) => {
            let header = last.packet.header;
            let _ = write!(signal, "{} dBm {} dB", last.rssi_dbm, last.snr_db);
            if let Payload::Reading(reading) = last.packet.payload
                && let Some(value) = reading.temperature_centidegrees
            {
                let _ = write!(remote, "there {} C", Hundredths(value.into()));
            }
            write!(link, "node {} #{}", header.src, header.seq)
        }
        None => write!(link, "no node heard"),
    };
    let _ = write!(counts, "rx{} err{}", counters.delivered, counters.damaged);
    let _ = match own {
        Ok(own) => write!(
            here,
            "here {} C",
            Hundredths(own.temperature_centidegrees.into())
        ),
        Err(_) => write!(here, "here --"),
    };
    let errors = node.radio_counters().errors();
    let _ = if node.is_up() {
        write!(radio, "radio up, err{errors}")
    } else {
        write!(radio, "radio silent")
    };
    let _ = write!(channel, "{}", node.channel());
    lines
}
