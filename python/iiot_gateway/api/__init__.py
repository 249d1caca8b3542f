"""The HTTP face; imported only when it is enabled."""
