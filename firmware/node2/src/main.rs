//! Node 2, the gateway node. This file connects board, drivers and logic.
#![no_std]
#![no_main]

mod host_task;
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
const RADIO_BYTES: usize = 1024;

/// The number of bytes from the gateway process that can wait for the task: some commands.
const HOST_BYTES: usize = 256;

/// The number of bytes of documents that can wait for a debug probe, which reads every tenth of a second.
const RTT_BYTES: usize = 2048;

/// The tasks that show the watchdog that they are alive.
#[derive(Clone, Copy)]
enum Watched {
    Radio,
    Host,
    Sense,
}

#[rtic::app(device = board::pac, dispatchers = [SPI1, SPI2, SPI3, SPI4], peripherals = true)]
mod app {
    use super::{HOST_BYTES, Mono, RADIO_BYTES, RTT_BYTES};
    use super::{host_task, now_ms, radio_task, sense_task, span};
    use board::{Board, Bus, pac};
    use defmt::Display2Format;
    use heapless::spsc::{Consumer, Producer, Queue};
    use logic::GatewayNode;
    use logic::assess::{Climate, Fault};
    use logic::watch::Watch;
    use rtic_monotonics::systick::prelude::*;
    use rtic_sync::signal::{Signal, SignalReader, SignalWriter};
    use rtt_target::{ChannelMode, UpChannel};
    use stm32f4xx_hal::gpio::{Output, PA5};
    use stm32f4xx_hal::prelude::*;
    use stm32f4xx_hal::serial::{Rx, Tx};
    use stm32f4xx_hal::watchdog::IndependentWatchdog;

    #[shared]
    struct Shared {
        node: GatewayNode,
        climate: Option<Result<Climate, Fault>>,
        watch: Watch<3>,
    }

    #[local]
    struct Local {
        radio_rx: Rx<pac::UART4>,
        radio_tx: Tx<pac::UART4>,
        radio_in: Producer<'static, u8>,
        radio_bytes: Consumer<'static, u8>,
        radio_came: SignalWriter<'static, ()>,
        radio_wake: SignalReader<'static, ()>,
        ordered: SignalWriter<'static, ()>,
        host_rx: Rx<pac::USART2>,
        host_tx: Tx<pac::USART2>,
        host_in: Producer<'static, u8>,
        host_bytes: Consumer<'static, u8>,
        host_came: SignalWriter<'static, ()>,
        host_wake: SignalReader<'static, ()>,
        delivered: SignalWriter<'static, ()>,
        terminal: UpChannel,
        bus: Bus,
        led: PA5<Output>,
        watchdog: IndependentWatchdog,
        starts: u32,
    }

    #[init(local = [
        radio_queue: Queue<u8, RADIO_BYTES> = Queue::new(),
        host_queue: Queue<u8, HOST_BYTES> = Queue::new(),
        radio_wakes: Signal<()> = Signal::new(),
        host_wakes: Signal<()> = Signal::new(),
    ])]
    fn init(cx: init::Context) -> (Shared, Local) {
        let channels = rtt_target::rtt_init! {
            up: {
                0: { size: RTT_BYTES, mode: ChannelMode::NoBlockSkip, name: "Terminal" }
                1: { size: 512, mode: ChannelMode::NoBlockSkip, name: "defmt" }
            }
        };
        rtt_target::set_defmt_channel(channels.up.1);
        Mono::start(cx.core.SYST, board::SYSTICK_HZ);
        let board = Board::new(cx.device);
        // The build refuses settings that the radio may not have, so only QEMU's loader can bring them here.
        let node = GatewayNode::new(&board.settings, board.start)
            .unwrap_or_else(|_| defmt::panic!("no radio may be set up as the settings say"));
        defmt::info!(
            "gateway node {} starts for the {}th time, {} {}",
            board.settings.gateway,
            board.starts,
            board.settings.region.name(),
            Display2Format(&node.channel())
        );
        let (radio_in, radio_bytes) = cx.local.radio_queue.split();
        let (host_in, host_bytes) = cx.local.host_queue.split();
        radio::spawn().ok();
        host::spawn().ok();
        sense::spawn().ok();
        watchdog::spawn().ok();
        (
            Shared {
                node,
                climate: None,
                watch: Watch::new(now_ms()),
            },
            Local {
                radio_rx: board.radio.rx,
                radio_tx: board.radio.tx,
                radio_in,
                radio_bytes,
                radio_came: cx.local.radio_wakes.writer(),
                ordered: cx.local.radio_wakes.writer(),
                radio_wake: cx.local.radio_wakes.take_reader(),
                host_rx: board.host.rx,
                host_tx: board.host.tx,
                host_in,
                host_bytes,
                host_came: cx.local.host_wakes.writer(),
                delivered: cx.local.host_wakes.writer(),
                host_wake: cx.local.host_wakes.take_reader(),
                terminal: channels.up.0,
                bus: board.bus,
                led: board.led,
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

    #[task(binds = UART4, priority = 5, local = [radio_rx, radio_in, radio_came])]
    fn uart4(cx: uart4::Context) {
        // An overrun or a line error loses the byte. The parser notices the damage in the frame that the byte belonged to.
        if let Ok(byte) = cx.local.radio_rx.read() {
            let _ = cx.local.radio_in.enqueue(byte);
        }
        cx.local.radio_came.write(());
    }

    #[task(binds = USART2, priority = 5, local = [host_rx, host_in, host_came])]
    fn usart2(cx: usart2::Context) {
        if let Ok(byte) = cx.local.host_rx.read() {
            let _ = cx.local.host_in.enqueue(byte);
        }
        cx.local.host_came.write(());
    }

    #[task(priority = 3, shared = [node, watch], local = [radio_tx, radio_bytes, radio_wake, delivered, led, starts])]
    async fn radio(cx: radio::Context) {
        radio_task::run(cx).await;
    }

    #[task(priority = 2, shared = [node, climate, watch], local = [host_tx, host_bytes, host_wake, ordered, terminal])]
    async fn host(cx: host::Context) {
        host_task::run(cx).await;
    }

    #[task(priority = 1, shared = [node, climate, watch], local = [bus])]
    async fn sense(cx: sense::Context) {
        sense_task::run(cx).await;
    }

    #[task(priority = 4, shared = [watch], local = [watchdog])]
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
