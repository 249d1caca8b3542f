"""The HTTP interface of devices: they register, send, and are asked about, under `/api/v1/`."""
