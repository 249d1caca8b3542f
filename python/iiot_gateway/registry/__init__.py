"""The registry of devices: the devices, their keys, and the tags that their points get from it."""
