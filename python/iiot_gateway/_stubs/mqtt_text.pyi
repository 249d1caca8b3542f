"""What `rust/iiot-native/src/mqtt_text.rs` gives to Python."""

def mqtt_text_fault(text: str, *, max_bytes: int = 65535) -> str | None:
    """Return why MQTT does not allow a text as a topic, client id or user name ("holds U+0001, ..."); None if it does."""

def mqtt_text(text: str) -> str:
    """Return the text with `_` for every character that MQTT does not allow."""
