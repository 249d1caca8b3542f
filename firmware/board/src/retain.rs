//! A block of RAM that the start-up code does not initialise, so that its content survives a reset.

use core::mem::MaybeUninit;
use core::ptr;

use logic::retained::Retained;

#[unsafe(link_section = ".uninit.retained")]
static mut BLOCK: MaybeUninit<[u8; Retained::BYTES]> = MaybeUninit::uninit();

/// Keep this block over the next reset.
pub fn retain(retained: Retained) {
    let mut block = [0; Retained::BYTES];
    retained.write(&mut block);
    cortex_m::interrupt::free(|_| {
        // SAFETY: no other reference to the block exists, and interrupts are disabled, so no other write is in progress.
        unsafe { ptr::write_volatile((&raw mut BLOCK).cast(), block) }
    });
}

/// The block that the run before kept; `None` after a loss of power.
pub(crate) fn recall() -> Option<Retained> {
    // SAFETY: any bytes are a valid array of bytes, and a volatile read does not assume who wrote them.
    let block: [u8; Retained::BYTES] = unsafe { ptr::read_volatile((&raw const BLOCK).cast()) };
    Retained::read(&block)
}
