"""The HTTP face: a web page, a JSON API and what monitoring asks for. Read-only; imported only when it is enabled."""
