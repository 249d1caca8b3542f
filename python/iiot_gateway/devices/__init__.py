"""Emulated nodes: the firmware in QEMU, models of its chips and radio modules, and the air between them."""
