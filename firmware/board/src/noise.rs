//! Provides noise for the boot id, because the F446 has no random number generator.

use crate::Battery;

/// The number of samples of the converter. Each gives about one bit.
#[cfg(not(feature = "qemu"))]
const SAMPLES: u32 = 128;

/// Noise from the last bits of the converter, and from the chip's unique number.
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

/// No noise, because QEMU has neither the converter's noise nor the chip's number. The seed in the settings must suffice.
#[cfg(feature = "qemu")]
pub fn noise(_: &mut Battery) -> u64 {
    0
}

/// The hash FNV-1a.
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
