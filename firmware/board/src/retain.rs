//! RAM that the start-up code leaves alone, so that it holds over a reset what was written before.

use core::mem::MaybeUninit;
use core::ptr;

use logic::retained::Retained;

#[unsafe(link_section = ".uninit.retained")]
static mut BLOCK: MaybeUninit<[u8; Retained::BYTES]> = MaybeUninit::uninit();

/// Keep this over the next reset.
pub fn retain(retained: Retained) {
    let mut block = [0; Retained::BYTES];
    retained.write(&mut block);
    cortex_m::interrupt::free(|_| {
        // SAFETY: nobody else holds a reference to the block, and interrupts are off, so no other write is under way.
        unsafe { ptr::write_volatile((&raw mut BLOCK).cast(), block) }
    });
}

/// What the run before kept; `None` after a loss of power.
pub(crate) fn recall() -> Option<Retained> {
    // SAFETY: any bytes are a valid array of bytes; a volatile read makes no claim about who wrote them.
    let block: [u8; Retained::BYTES] = unsafe { ptr::read_volatile((&raw const BLOCK).cast()) };
    Retained::read(&block)
}
