"""A simulated dosing plant: machines that behave like the ESP32s of `factory-dosing`, and a tally of what they published."""
