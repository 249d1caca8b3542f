"""The configuration: one TOML file, typed and frozen after loading."""
