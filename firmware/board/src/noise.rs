//! Noise for the boot id: the F446 has no generator of random numbers.

use crate::Battery;

/// Samples of the converter: each gives about a bit.
#[cfg(not(feature = "qemu"))]
const SAMPLES: u32 = 128;

/// From the converter's last bits and the chip's number; in QEMU, which has neither, the settings' seed is all there is.
#[cfg(not(feature = "qemu"))]
pub fn noise(battery: &mut Battery) -> u64 {
    use core::hash::Hash;

    let mut mixed = Mixed(0xcbf2_9ce4_8422_2325);
    stm32f4xx_hal::signature::Uid::get().hash(&mut mixed);
    for _ in 0..SAMPLES {
        battery.noise().hash(&mut mixed);
    }
    mixed.0
}

/// From the converter's last bits and the chip's number; in QEMU, which has neither, the settings' seed is all there is.
#[cfg(feature = "qemu")]
pub fn noise(_: &mut Battery) -> u64 {
    0
}

/// FNV-1a.
#[cfg(not(feature = "qemu"))]
struct Mixed(u64);

#[cfg(not(feature = "qemu"))]
impl core::hash::Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
