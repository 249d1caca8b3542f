"""The nodes in software: the firmware in QEMU, its chips and radio modules as they behave, and the air between them."""
