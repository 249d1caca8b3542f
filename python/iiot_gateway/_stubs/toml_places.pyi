"""What `rust/iiot-native/src/toml_places.rs` gives to Python."""

def toml_places(text: str) -> tuple[dict[tuple[str, ...], int], set[tuple[str, ...]], list[tuple[tuple[str, ...], int, bool]]]:
    """The line of each key path in a TOML text, from 1, at its first mention, without keys inside arrays; the tables with a header; and each table with a header and each
    key in the order of the text, with its line, and whether it is a table of an array."""
