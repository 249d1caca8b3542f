"""What `rust/iiot-native/src/line_protocol.rs` gives to Python."""

from typing import Literal

def read_lines(body: bytes, precision: Literal["ns", "us", "ms", "s"], max_lines: int) -> list[tuple[bytes, str]]:
    """Read InfluxDB line protocol. Returns for each line a document to post under the topic `$api/line` with the profile `line-protocol`, and ""; or b"" and the fault of
    the line ("line 3, column 12: ..."). Empty lines and comments are left out. Raises ValueError for more lines than `max_lines`, and for another precision."""
