"""What `rust/iiot-native/src/crossings.rs` gives to Python."""

def crossings() -> int:
    """How many calls into the extension the data path has made since the start, for the benchmark."""
