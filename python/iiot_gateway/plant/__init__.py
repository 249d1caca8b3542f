"""A simulated dosing plant: machines that behave like the ESP32s of `factory-dosing`, and a ledger of what they published."""
