//! Finds out why the chip started.

use iiot_proto::packet::ResetCause;
use stm32f4xx_hal::pac::RCC;

/// Read the flags, and clear them for the next start. Every other cause sets the flag of the pin, too, so this flag is checked last.
pub fn reset_cause(rcc: &RCC) -> ResetCause {
    let flags = rcc.csr().read();
    rcc.csr().modify(|_, w| w.rmvf().set_bit());
    if flags.lpwrrstf().bit_is_set() {
        ResetCause::LowPower
    } else if flags.wwdgrstf().bit_is_set() {
        ResetCause::WindowWatchdog
    } else if flags.wdgrstf().bit_is_set() {
        ResetCause::Watchdog
    } else if flags.sftrstf().bit_is_set() {
        ResetCause::Software
    } else if flags.porrstf().bit_is_set() {
        ResetCause::PowerOn
    } else if flags.borrstf().bit_is_set() {
        ResetCause::BrownOut
    } else if flags.padrstf().bit_is_set() {
        ResetCause::Pin
    } else {
        ResetCause::Other
    }
}
