//! Node 1 and every other sensor node. This file connects board, drivers and logic.
#![no_std]
#![no_main]

mod radio_task;
mod sense_task;

use core::cell::Cell;

use cortex_m::interrupt::{self, Mutex};
use logic::clock::Clock;
use panic_probe as _;
use rtic_monotonics::systick::prelude::*;

systick_monotonic!(Mono, 1_000);
defmt::timestamp!("{=u64:ms}", now_ms());

/// The system's clock, extended to 64 bits.
static CLOCK: Mutex<Cell<Clock>> = Mutex::new(Cell::new(Clock::new()));

/// The time since the start, in milliseconds.
fn now_ms() -> u64 {
    // The counter is read inside the critical section, so that no task can store an older value after a newer one.
    interrupt::free(|section| {
        let mut clock = CLOCK.borrow(section).get();
        let now_ms = clock.widen(Mono::now().as_ticks());
        CLOCK.borrow(section).set(clock);
        now_ms
    })
}

/// A duration to wait. All durations are short, so 32 bits suffice.
fn span(ms: u64) -> fugit::MillisDurationU32 {
    fugit::MillisDurationU32::from_ticks(ms as u32)
}

/// The number of bytes from the radio module that can wait for the task.
const RADIO_BYTES: usize = 512;

/// The tasks that show the watchdog that they are alive.
#[derive(Clone, Copy)]
enum Watched {
    Radio,
    Sense,
}

#[rtic::app(device = board::pac, dispatchers = [SPI1, SPI2, SPI3], peripherals = true)]
mod app {
    use super::{Mono, RADIO_BYTES, now_ms, radio_task, sense_task, span};
    use board::{Battery, Board, Bus, pac};
    use defmt::Display2Format;
    use heapless::spsc::{Consumer, Producer, Queue};
    use logic::SensorNode;
    use logic::dice::Dice;
    use logic::watch::Watch;
    use rtic_monotonics::systick::prelude::*;
    use rtic_sync::signal::{Signal, SignalReader, SignalWriter};
    use stm32f4xx_hal::gpio::{ExtiPin, Input, Output, PA5, PC13};
    use stm32f4xx_hal::prelude::*;
    use stm32f4xx_hal::serial::{Rx, Tx};
    use stm32f4xx_hal::watchdog::IndependentWatchdog;

    #[shared]
    struct Shared {
        node: SensorNode,
        watch: Watch<2>,
    }

    #[local]
    struct Local {
        rx: Rx<pac::UART4>,
        tx: Tx<pac::UART4>,
        incoming: Producer<'static, u8>,
        bytes: Consumer<'static, u8>,
        came: SignalWriter<'static, ()>,
        wake: SignalReader<'static, ()>,
        offered: SignalWriter<'static, ()>,
        pressed: SignalWriter<'static, ()>,
        press: SignalReader<'static, ()>,
        dice: Dice,
        led: PA5<Output>,
        button: PC13<Input>,
        bus: Bus,
        battery: Battery,
        watchdog: IndependentWatchdog,
        starts: u32,
    }

    #[init(local = [queue: Queue<u8, RADIO_BYTES> = Queue::new(), wakes: Signal<()> = Signal::new(), presses: Signal<()> = Signal::new()])]
    fn init(cx: init::Context) -> (Shared, Local) {
        let channels = rtt_target::rtt_init! { up: { 0: { size: 1024, name: "defmt" } } };
        rtt_target::set_defmt_channel(channels.up.0);
        Mono::start(cx.core.SYST, board::SYSTICK_HZ);
        let board = Board::new(cx.device);
        // The build refuses settings that the radio may not have, so only QEMU's loader can bring them here.
        let node = SensorNode::new(&board.settings, board.start)
            .unwrap_or_else(|_| defmt::panic!("no radio may be set up as the settings say"));
        defmt::info!(
            "node {} starts, boot id {}, {} {}",
            board.settings.address,
            board.start.boot,
            board.settings.region.name(),
            Display2Format(&node.channel())
        );
        let (incoming, bytes) = cx.local.queue.split();
        radio::spawn().ok();
        sense::spawn().ok();
        watchdog::spawn().ok();
        (
            Shared {
                node,
                watch: Watch::new(now_ms()),
            },
            Local {
                rx: board.radio.rx,
                tx: board.radio.tx,
                incoming,
                bytes,
                came: cx.local.wakes.writer(),
                offered: cx.local.wakes.writer(),
                wake: cx.local.wakes.take_reader(),
                pressed: cx.local.presses.writer(),
                press: cx.local.presses.take_reader(),
                dice: board.dice,
                led: board.led,
                button: board.button,
                bus: board.bus,
                battery: board.battery,
                watchdog: board.watchdog,
                starts: board.starts,
            },
        )
    }

    #[idle]
    fn idle(_: idle::Context) -> ! {
        loop {
            cortex_m::asm::wfi();
        }
    }

    #[task(binds = UART4, priority = 4, local = [rx, incoming, came])]
    fn uart4(cx: uart4::Context) {
        // An overrun or a line error loses the byte. The parser notices the damage in the frame that the byte belonged to.
        if let Ok(byte) = cx.local.rx.read() {
            let _ = cx.local.incoming.enqueue(byte);
        }
        cx.local.came.write(());
    }

    #[task(binds = EXTI15_10, priority = 4, local = [button, pressed])]
    fn button(cx: button::Context) {
        cx.local.button.clear_interrupt_pending_bit();
        cx.local.pressed.write(());
    }

    #[task(priority = 2, shared = [node, watch], local = [tx, bytes, wake, dice, led, starts])]
    async fn radio(cx: radio::Context) {
        radio_task::run(cx).await;
    }

    #[task(priority = 1, shared = [node, watch], local = [bus, battery, press, offered])]
    async fn sense(cx: sense::Context) {
        sense_task::run(cx).await;
    }

    #[task(priority = 3, shared = [watch], local = [watchdog])]
    async fn watchdog(mut cx: watchdog::Context) {
        loop {
            let now_ms = now_ms();
            if cx.shared.watch.lock(|watch| watch.is_well(now_ms)) {
                cx.local.watchdog.feed();
            }
            Mono::delay(span(500)).await;
        }
    }
}
