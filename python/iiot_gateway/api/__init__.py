"""The HTTP interface: a web page, a JSON API, and the addresses for monitoring. Read-only; imported only when it is enabled."""
