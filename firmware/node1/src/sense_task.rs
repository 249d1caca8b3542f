//! Measures, shows the values, and offers readings: at every interval, and at once when the button is pressed.

use core::cell::RefCell;
use core::fmt::Write;

use drivers::bme680::{self, Bme680};
use drivers::screen::{COLUMNS, Screen};
use drivers::sht3x;
use embedded_hal::delay::DelayNs;
use embedded_hal_bus::i2c::RefCellDevice;
use heapless::String;
use iiot_proto::packet::{Reading, Status};
use logic::SensorNode;
use logic::assess::{Air, Climate, Fault, assess};
use logic::document::Hundredths;
use rtic::Mutex;
use rtic_monotonics::systick::prelude::*;

use crate::app::sense::Context;
use crate::{Mono, Watched, now_ms, span};

/// The longest time between two signs of life to the watchdog.
const STEP_MS: u64 = 1_000;

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
    let mut bme680 = None;
    let (mut due_ms, mut by_button, mut display) = (0, false, Status::NONE);
    loop {
        let now_ms = now_ms();
        cx.shared
            .watch
            .lock(|watch| watch.seen(Watched::Sense as usize, now_ms));
        if by_button || now_ms >= due_ms {
            let climate =
                sht3x::measure(&mut device, &mut Asleep).map_err(|error| fault_of_sht3x(&error));
            let air = air(&mut bme680, &mut device);
            let battery_mv = cx.local.battery.millivolts(&mut bus.borrow_mut());
            let climate = climate.map(|measured| Climate {
                temperature_centidegrees: measured.temperature_centidegrees,
                humidity_centipercent: measured.humidity_centipercent,
            });
            let mut reading = assess(climate, air, battery_mv, by_button);
            reading.status = reading.status.with(display);
            let (interval_s, lines) = cx.shared.node.lock(|node| {
                node.offer(reading, now_ms);
                (node.interval_s(), picture(node, &reading))
            });
            cx.local.offered.write(());
            display = match screen.show(&lines) {
                Ok(()) => Status::NONE,
                Err(_) => Status::DISPLAY_SILENT,
            };
            // The interval is kept if possible. The button starts a new interval.
            let rhythm_ms = u64::from(interval_s) * 1_000;
            due_ms = if by_button || due_ms + rhythm_ms <= now_ms {
                now_ms + rhythm_ms
            } else {
                due_ms + rhythm_ms
            };
        }
        let interval_s = cx.shared.node.lock(|node| node.interval_s());
        due_ms = due_ms.min(now_ms + u64::from(interval_s) * 1_000);
        let wait_ms = due_ms.saturating_sub(now_ms).clamp(1, STEP_MS);
        by_button = Mono::timeout_after(span(wait_ms), cx.local.press.wait())
            .await
            .is_ok();
    }
}

fn fault_of_sht3x<E>(error: &sht3x::Error<E>) -> Fault {
    match error {
        sht3x::Error::Bus(_) => Fault::Silent,
        sht3x::Error::Checksum { .. } => Fault::Damaged,
    }
}

/// Measure with the BME680. A sensor that failed is set up again at the next measurement.
fn air<I: embedded_hal::i2c::I2c>(
    bme680: &mut Option<Bme680>,
    device: &mut I,
) -> Result<Air, Fault> {
    let measured = match bme680.take() {
        Some(known) => Ok(known),
        None => Bme680::new(device, &mut Asleep),
    }
    .and_then(|mut chip| {
        let measured = chip.measure(device, &mut Asleep)?;
        *bme680 = Some(chip);
        Ok(measured)
    });
    match measured {
        Ok(measured) => Ok(Air {
            climate: Climate {
                temperature_centidegrees: measured.temperature_centidegrees,
                humidity_centipercent: measured.humidity_centipercent,
            },
            pressure_pa: measured.pressure_pa,
            gas_resistance_ohm: measured.gas_resistance_ohm,
        }),
        Err(bme680::Error::Bus { .. } | bme680::Error::NotReady) => Err(Fault::Silent),
        Err(_) => Err(Fault::Damaged),
    }
}

type Line = String<COLUMNS>;

/// The lines on the display.
fn picture(node: &SensorNode, reading: &Reading) -> [Line; 8] {
    let mut lines = [const { Line::new() }; 8];
    let [
        temperature,
        humidity,
        pressure,
        gas,
        battery,
        link,
        counts,
        status,
    ] = &mut lines;
    // A line that is too long for the display is cut off.
    let _ = match reading.temperature_centidegrees {
        Some(value) => write!(temperature, "{} C", Hundredths(value.into())),
        None => write!(temperature, "-- C"),
    };
    let _ = match reading.humidity_centipercent {
        Some(value) => write!(humidity, "{} %RH", Hundredths(value.into())),
        None => write!(humidity, "-- %RH"),
    };
    let _ = match reading.pressure_pa {
        Some(value) => write!(pressure, "{} hPa", Hundredths(value as i32)),
        None => write!(pressure, "-- hPa"),
    };
    let _ = match reading.gas_resistance_ohm {
        Some(value) => write!(gas, "{value} Ohm"),
        None => write!(gas, "-- Ohm"),
    };
    let _ = match reading.battery_mv {
        Some(value) => write!(battery, "{value} mV"),
        None => write!(battery, "-- mV"),
    };
    let _ = match node.heard() {
        Some(ack) => write!(link, "{} dBm {} dB", ack.rssi_dbm, ack.snr_db),
        // If the gateway node does not answer, the line shows the channel, which should be the same on the gateway node's display.
        None => write!(link, "{}", node.channel()),
    };
    let counters = node.counters();
    let _ = write!(counts, "tx{} kept{}", counters.transmitted, node.kept());
    let _ = write!(status, "status {:04x}", reading.status.0);
    lines
}
