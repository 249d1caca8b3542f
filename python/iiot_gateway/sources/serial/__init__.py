"""The serial source: a port, or a USB adapter wherever it turns up."""
