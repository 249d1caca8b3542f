"""The registry of devices: which there are, which keys they have, and what their points take from it."""
