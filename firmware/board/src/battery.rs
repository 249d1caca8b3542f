//! Measures the supply voltage against the chip's internal reference.

use stm32f4xx_hal::adc::config::{AdcConfig, SampleTime};
use stm32f4xx_hal::adc::{Adc, Temperature, Vref};
use stm32f4xx_hal::pac::ADC1;
use stm32f4xx_hal::rcc::Rcc;
use stm32f4xx_hal::signature::{VDDA_CALIB, VrefCal};

use crate::Bus;

/// The analogue-to-digital converter that measures the supply.
pub struct Battery {
    adc: Adc<ADC1>,
}

impl Battery {
    pub(crate) fn new(adc: ADC1, rcc: &mut Rcc) -> Self {
        let mut adc = Adc::new(adc, true, AdcConfig::default(), rcc);
        adc.enable();
        adc.enable_temperature_and_vref();
        Self { adc }
    }

    /// The supply voltage in millivolts; `None` if the converter gives no value. QEMU's converter does not have the reference, so in QEMU the voltage
    /// comes over the bus.
    pub fn millivolts(&mut self, _: &mut Bus) -> Option<u16> {
        let sample = u32::from(self.adc.convert(&Vref, SampleTime::Cycles_480));
        let calibration = u32::from(VrefCal::get().read());
        u16::try_from((VDDA_CALIB * calibration).checked_div(sample)?).ok()
    }

    /// A sample with noise in its last bits.
    pub(crate) fn noise(&mut self) -> u16 {
        let (heat, reference) = (
            self.adc.convert(&Temperature, SampleTime::Cycles_3),
            self.adc.convert(&Vref, SampleTime::Cycles_3),
        );
        heat ^ reference.rotate_left(3)
    }
}
