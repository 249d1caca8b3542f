//! The driver on a simulated chip, compared with the crate `bosch-bme680` on the same chip.

use super::*;
use crate::simulated::{Bus, Nack, NoDelay, Raw};
use proptest::prelude::*;

fn measured(bus: &mut Bus) -> Result<Measurement, Error<Nack>> {
    Bme680::new(bus, &mut NoDelay)?.measure(bus, &mut NoDelay)
}

proptest! {
    // Many cases are run, because they take little time and overflows are rare.
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    /// Over the whole range of values in rooms and gardens, both implementations give the same results, except for the rounding of integers.
    #[test]
    fn agrees_with_the_other_implementation(
        temperature in 400_000..600_000_u32,
        pressure in 250_000..450_000_u32,
        humidity in 14_000..30_000_u16,
        gas in 0..1024_u16,
        range in 0..16_u8,
    ) {
        let mut bus = Bus::default();
        bus.bme680.raw = Raw { temperature, pressure, humidity, gas, range, is_stable: true };
        let own = measured(&mut bus);
        let heater = bus.bme680.registers[Register::HeaterResistance as usize];
        let mut other = bosch_bme680::Bme680::new(
            &mut bus,
            bosch_bme680::DeviceAddress::Primary,
            NoDelay,
            &bosch_bme680::Configuration::default(),
            25,
        ).unwrap();
        let other = other.measure().unwrap();
        prop_assert_eq!(heater, bus.bme680.registers[Register::HeaterResistance as usize]);
        let own = own.unwrap();
        prop_assert!((f32::from(own.temperature_centidegrees) / 100.0 - other.temperature).abs() < 0.02);
        prop_assert!((f64::from(own.pressure_pa) - f64::from(other.pressure)).abs() < 20.0, "{} {}", own.pressure_pa, other.pressure);
        prop_assert!((f32::from(own.humidity_centipercent) / 100.0 - other.humidity).abs() < 0.1);
        let gas = own.gas_resistance_ohm.map_or(0.0, f64::from);
        let theirs = f64::from(other.gas_resistance.unwrap_or(0.0));
        prop_assert!((gas - theirs).abs() <= 1.0 + theirs / 500.0, "{gas} {theirs}");
    }

    /// Whatever a disturbed bus delivers, even as calibration, the driver returns a result or an error, and does not panic.
    #[test]
    fn noise_is_survived(noise in prop::collection::vec(any::<u8>(), 256)) {
        let mut bus = Bus::default();
        bus.bme680.registers.copy_from_slice(&noise);
        bus.bme680.registers[Register::ChipId as usize] = CHIP_ID;
        bus.bme680.registers[Register::Variant as usize] = 0;
        bus.bme680.is_noise = true;
        let _ = measured(&mut bus);
    }
}

/// If the first pressure coefficient is 2, the result is thousands of times too large, and would overflow in the correction.
#[test]
fn a_senseless_calibration_is_an_impossible_result() {
    let mut bus = Bus::default();
    bus.bme680.registers[0x8E..0x90].copy_from_slice(&2_u16.to_le_bytes());
    assert_eq!(measured(&mut bus), Err(Error::Impossible));
}

/// The transfers on the bus, from the first contact to the first result.
#[test]
fn the_trace_is_that_of_the_data_sheet() {
    let mut bus = Bus::default();
    measured(&mut bus).unwrap();
    assert_eq!(
        bus.trace,
        [
            "w76 e0b6", "w76 d0", "r76 1", "w76 f0", "r76 1", "w76 8a", "r76 23", "w76 e1",
            "r76 14", "w76 00", "r76 5", "w76 5a6e", "w76 6465", "w76 7110", "w76 7201",
            "w76 7500", "w76 7455", "w76 1d", "r76 15"
        ]
    );
}

/// The errors distinguish another chip, a relative of the chip, an absent chip, and a measurement that never ends.
#[test]
fn faults_are_told_apart() {
    let mut bus = Bus::default();
    bus.bme680.registers[Register::ChipId as usize] = 0x58;
    assert_eq!(measured(&mut bus), Err(Error::ChipId { seen: 0x58 }));
    bus.bme680.registers[Register::ChipId as usize] = CHIP_ID;
    bus.bme680.registers[Register::Variant as usize] = 1;
    assert_eq!(measured(&mut bus), Err(Error::Variant { seen: 1 }));
    bus.bme680.registers[Register::Variant as usize] = 0;
    bus.bme680.never_ends = true;
    assert_eq!(measured(&mut bus), Err(Error::NotReady));
    bus.bme680.is_there = false;
    let register = Register::Reset;
    assert_eq!(
        measured(&mut bus),
        Err(Error::Bus {
            register,
            error: Nack
        })
    );
}

/// If the heater is not stable yet, there is no gas resistance, but all other values.
#[test]
fn an_unstable_heater_gives_no_resistance() {
    let mut bus = Bus::default();
    bus.bme680.raw.is_stable = false;
    let measured = measured(&mut bus).unwrap();
    assert_eq!(measured.gas_resistance_ohm, None);
    assert!(measured.pressure_pa > 90_000);
}
