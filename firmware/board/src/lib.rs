//! The NUCLEO-F446RE of both nodes: clocks, pins and peripherals. With the feature `qemu`, the same for QEMU's `netduinoplus2`.
//!
//! | part | connection |
//! |---|---|
//! | radio module | UART4, PC10 and PC11, 115200 baud |
//! | virtual COM port of the ST-Link | USART2, PA2 and PA3, 115200 baud |
//! | sensors and display | I2C1, PB8 and PB9, 100 kHz; in QEMU behind USART3 |
//! | LED, button | PA5, PC13 |

#![no_std]
#![deny(missing_docs)]

#[cfg(not(feature = "qemu"))]
mod battery;
#[cfg(feature = "qemu")]
mod bridge;
mod noise;
mod reset;
mod retain;
mod settings;

#[cfg(not(feature = "qemu"))]
pub use battery::Battery;
#[cfg(feature = "qemu")]
pub use bridge::Battery;
pub use reset::reset_cause;
pub use retain::retain;
pub use stm32f4xx_hal::pac;

use logic::dice::Dice;
use logic::retained::Retained;
use logic::sensor_node::Start;
use logic::settings::Settings;
use stm32f4xx_hal::gpio::{Edge, Input, Output, PA5, PC13};
use stm32f4xx_hal::prelude::*;
use stm32f4xx_hal::rcc::Config;
use stm32f4xx_hal::serial::{self, Rx, Serial, Tx};
use stm32f4xx_hal::watchdog::IndependentWatchdog;

/// The bus of sensors and display.
#[cfg(not(feature = "qemu"))]
pub type Bus = stm32f4xx_hal::i2c::I2c<pac::I2C1>;
/// The bus of sensors and display.
#[cfg(feature = "qemu")]
pub type Bus = bridge::Bus;

/// The frequency at which `SysTick` counts down, in hertz.
#[cfg(not(feature = "qemu"))]
pub const SYSTICK_HZ: u32 = 84_000_000;
/// The frequency at which `SysTick` counts down, in hertz. QEMU's machine runs at its own frequency, whatever the clock settings say.
#[cfg(feature = "qemu")]
pub const SYSTICK_HZ: u32 = 168_000_000;

const BAUD: u32 = 115_200;

/// The time of the watchdog. A hanging task is noticed after its patience, and the chip is reset after this time.
const WATCHDOG_MS: u32 = 4_000;

/// The two directions of a UART.
pub struct Port<U: serial::CommonPins + serial::Instance> {
    /// The transmitter.
    pub tx: Tx<U>,
    /// The receiver, whose interrupt is enabled.
    pub rx: Rx<U>,
}

/// The initialised board.
pub struct Board {
    /// The radio module.
    pub radio: Port<pac::UART4>,
    /// The virtual COM port.
    pub host: Port<pac::USART2>,
    /// The bus of sensors and display.
    pub bus: Bus,
    /// The supply voltage.
    pub battery: Battery,
    /// The green LED.
    pub led: PA5<Output>,
    /// The blue button. Pressing it raises `EXTI15_10`.
    pub button: PC13<Input>,
    /// The watchdog, which runs from now on.
    pub watchdog: IndependentWatchdog,
    /// The settings of the node.
    pub settings: Settings,
    /// What the node knows from its earlier run.
    pub start: Start,
    /// The number of starts since the power was switched on, including this one.
    pub starts: u32,
    /// The generator of random numbers.
    pub dice: Dice,
}

impl Board {
    /// Initialise the chip.
    pub fn new(device: pac::Peripherals) -> Self {
        let reset_cause = reset_cause(&device.RCC);
        #[cfg(not(feature = "qemu"))]
        let clocks = Config::hsi().sysclk(84.MHz());
        // The PLL of the emulation never becomes ready.
        #[cfg(feature = "qemu")]
        let clocks = Config::hsi();
        let mut rcc = device.RCC.freeze(clocks);
        let mut syscfg = device.SYSCFG.constrain(&mut rcc);
        let mut exti = device.EXTI;
        let port_a = device.GPIOA.split(&mut rcc);
        let port_b = device.GPIOB.split(&mut rcc);
        let port_c = device.GPIOC.split(&mut rcc);

        let mut button = port_c.pc13.into_floating_input();
        button.make_interrupt_source(&mut syscfg);
        button.trigger_on_edge(&mut exti, Edge::Falling);
        button.enable_interrupt(&mut exti);

        let config = || serial::config::Config::default().baudrate(BAUD.bps());
        // The pins and the rate are correct, so these calls cannot fail. Without a UART, a node could only be reset anyway.
        let (tx, mut rx) =
            Serial::new(device.UART4, (port_c.pc10, port_c.pc11), config(), &mut rcc)
                .unwrap_or_else(|_| defmt::panic!("UART4"))
                .split();
        rx.listen();
        let radio = Port { tx, rx };
        let (tx, mut rx) = Serial::new(device.USART2, (port_a.pa2, port_a.pa3), config(), &mut rcc)
            .unwrap_or_else(|_| defmt::panic!("USART2"))
            .split();
        rx.listen();
        let host = Port { tx, rx };

        #[cfg(not(feature = "qemu"))]
        let bus = stm32f4xx_hal::i2c::I2c::new(
            device.I2C1,
            (port_b.pb8, port_b.pb9),
            stm32f4xx_hal::i2c::Mode::standard(100.kHz()),
            &mut rcc,
        );
        #[cfg(feature = "qemu")]
        let bus = bridge::Bus::new(
            Serial::new(
                device.USART3,
                (port_b.pb10, port_b.pb11),
                config(),
                &mut rcc,
            )
            .unwrap_or_else(|_| defmt::panic!("USART3")),
        );
        let mut battery = Battery::new(device.ADC1, &mut rcc);

        let settings = settings::settings();
        let retained = retain::recall();
        let starts = retained
            .map_or(0, |retained| retained.starts)
            .wrapping_add(1);
        let noise = noise::noise(&mut battery) ^ u64::from(settings.seed);
        let mut dice = Dice::new(noise ^ u64::from(starts) << 32);
        let start = Start {
            boot: dice.bits() as u16,
            reset_cause,
            duty_level_us: retained.map(|retained| retained.duty_level_us),
        };
        retain(Retained {
            starts,
            duty_level_us: retained.map_or(0, |retained| retained.duty_level_us),
        });

        let mut watchdog = IndependentWatchdog::new(device.IWDG);
        watchdog.stop_on_debug(&device.DBGMCU, true);
        watchdog.start(fugit::ExtU32::millis(WATCHDOG_MS));
        Self {
            radio,
            host,
            bus,
            battery,
            led: port_a.pa5.into_push_pull_output(),
            button,
            watchdog,
            settings,
            start,
            starts,
            dice,
        }
    }
}

/// Reset the chip.
pub fn reboot() -> ! {
    cortex_m::peripheral::SCB::sys_reset()
}
