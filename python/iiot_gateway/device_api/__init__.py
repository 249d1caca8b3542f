"""The HTTP interface of devices under `/api/v1/`: they register and send, and their data can be read."""
